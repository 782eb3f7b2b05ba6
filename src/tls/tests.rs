//! What the server makes of certificates, keys and changes of their files.

use std::path::PathBuf;

use chrono::{NaiveDate, TimeDelta};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;

/// A certificate and its key in PEM.
struct Issued {
    certificate: String,
    key: String,
}

/// Makes a certificate for these names that is valid from one day to another.
fn issue(names: &[&str], from: (i32, u8, u8), until: (i32, u8, u8)) -> Issued {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(until.0, until.1, until.2);
    let key = KeyPair::generate().unwrap();
    Issued { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn any() -> Issued {
    issue(&["chat.example"], (2026, 1, 1), (2027, 1, 1))
}

fn midnight(year: i32, month: u32, day: u32) -> NaiveDateTime {
    NaiveDate::from_ymd_opt(year, month, day).unwrap().and_time(chrono::NaiveTime::MIN)
}

/// The two files.
struct Place(TempDir);

impl Place {
    fn with(issued: &Issued) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("certificate", &issued.certificate);
        place.write("key", &issued.key);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    fn open(&self) -> Result<Tls, String> {
        Tls::open(&self.path("certificate"), &self.path("key"))
    }
}

fn certificate(issued: &Issued) -> Certificate {
    Place::with(issued).open().unwrap().served().certificate
}

#[test]
fn a_certificates_dates_are_read_from_it() {
    for (from, until) in
        [((2026, 2, 28), (2027, 12, 31)), ((1971, 1, 1), (2049, 12, 31)), ((2050, 1, 1), (9999, 12, 31))]
    {
        let certificate = certificate(&issue(&["a"], from, until));
        let day = |(year, month, day): (i32, u8, u8)| midnight(year, month.into(), day.into());
        assert_eq!((certificate.begins, certificate.ends()), (day(from), day(until)));
    }
}

#[test]
fn a_certificate_is_to_be_renewed_two_weeks_before_its_end() {
    let certificate = certificate(&any());
    let end = midnight(2027, 1, 1);
    let second = TimeDelta::seconds(1);
    for (now, expected) in [
        (midnight(2026, 1, 1) - second, Validity::NotYet),
        (midnight(2026, 1, 1), Validity::Valid),
        (end - TimeDelta::days(14), Validity::Valid),
        (end - TimeDelta::days(14) + second, Validity::EndsSoon(13)),
        (end - TimeDelta::hours(23), Validity::EndsSoon(0)),
        (end, Validity::EndsSoon(0)),
        (end + second, Validity::Ended),
    ] {
        assert_eq!(certificate.validity(now), expected, "{now}");
        assert_eq!(certificate.warning(now).is_none(), expected == Validity::Valid, "{now}");
    }
}

#[test]
fn a_certificate_is_for_its_names_and_addresses() {
    let names = ["chat.example", "*.many.example", "127.0.0.1", "2001:db8::1"];
    let issued = issue(&names, (2026, 1, 1), (2027, 1, 1));
    let certificate = certificate(&issued);
    for host in ["chat.example", "Chat.Example", "one.many.example", "127.0.0.1", "[2001:db8::1]"] {
        assert!(certificate.is_for(host), "{host}");
    }
    for host in ["other.example", "many.example", "a.b.many.example", "127.0.0.2", "[2001:db8::2]", "", "a b"]
    {
        assert!(!certificate.is_for(host), "{host}");
    }
    let tls = Place::with(&issued).open().unwrap();
    let warned = |host| tls.warnings(Some(host), midnight(2026, 6, 1)).iter().any(|text| text.contains(host));
    assert!(warned("other.example") && !warned("chat.example"));
}

#[test]
fn a_fault_in_a_file_names_its_setting_and_what_to_do() {
    let (one, other) = (any(), any());
    let cut = |text: &str| text[..text.len() / 2].to_owned();
    let passphrase = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (certificate, key, names, says) in [
        (String::new(), one.key.clone(), "--tls-certificate: ", "contains no certificate in PEM"),
        (one.key.clone(), one.key.clone(), "--tls-certificate: ", "contains no certificate in PEM"),
        (cut(&one.certificate), one.key.clone(), "--tls-certificate: ", "cut short or damaged"),
        (damaged.to_owned(), one.key.clone(), "--tls-certificate: ", "damaged or not of X.509 version 3"),
        (one.certificate.clone(), String::new(), "--tls-key: ", "no whole private key in PEM"),
        (one.certificate.clone(), one.certificate.clone(), "--tls-key: ", "no whole private key in PEM"),
        (one.certificate.clone(), cut(&one.key), "--tls-key: ", "no whole private key in PEM"),
        (one.certificate.clone(), passphrase, "--tls-key: ", "without one, by `openssl pkey"),
        (
            one.certificate.clone(),
            other.key.clone(),
            "--tls-key: ",
            "does not belong to the first certificate",
        ),
        (other.certificate.clone() + &one.certificate, one.key.clone(), "--tls-key: ", "comes first"),
    ] {
        let error = Place::with(&Issued { certificate, key }).open().unwrap_err();
        assert!(error.starts_with(names) && error.contains(says), "{error}");
        assert!(!error.contains(&one.key[40..60]), "{error}");
    }
}

#[test]
fn one_file_may_have_the_chain_and_the_key() {
    let (own, issuer) = (any(), any());
    let both = format!("text\n{}{}{}", own.key, own.certificate, issuer.certificate);
    let place = Place::with(&Issued { certificate: both.clone(), key: both });
    assert!(place.open().is_ok());
}

#[test]
fn a_file_that_cannot_be_read_is_not_waited_for() {
    let place = Place::with(&any());
    std::fs::create_dir(place.path("folder")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(place.path("fifo")).status();
    assert!(fifo.unwrap().success());
    std::fs::File::create(place.path("huge")).unwrap().set_len(1 << 30).unwrap();
    for (name, says) in [
        ("missing", "cannot be read"),
        ("folder", "is not a regular file"),
        ("fifo", "is not a regular file"),
        ("huge", "is larger than 1 MiB"),
    ] {
        let error = Tls::open(&place.path(name), &place.path("key")).unwrap_err();
        assert!(error.starts_with("--tls-certificate: ") && error.contains(says), "{error}");
        let error = Tls::open(&place.path("certificate"), &place.path(name)).unwrap_err();
        assert!(error.starts_with("--tls-key: the file ") && error.contains(says), "{error}");
        assert!(!error.contains(place.path(name).to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_key_that_others_may_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::with(&any());
    let tls = place.open().unwrap();
    for (mode, is_exposed) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        std::fs::set_permissions(place.path("key"), std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = tls.warnings(None, midnight(2026, 6, 1));
        assert_eq!(warnings.iter().any(|text| text.contains("chmod o-rwx")), is_exposed, "{mode:o}");
    }
}

/// Whether the server uses this certificate.
fn uses(tls: &Tls, issued: &Issued) -> bool {
    tls.served().certificate.der == certificate(issued).der
}

#[test]
fn a_new_pair_is_used_once_both_files_have_settled() {
    let (old, new) = (any(), any());
    let place = Place::with(&old);
    let tls = place.open().unwrap();
    let before = tls.server_config();
    let mut watch = Watch::new(&tls);
    watch.look();
    place.write("certificate", &new.certificate[..200]);
    watch.look();
    place.write("certificate", &new.certificate);
    watch.look();
    assert!(uses(&tls, &old) && tls.served().failure.is_none(), "it is still being written");
    watch.look();
    assert!(tls.served().failure.unwrap().contains("does not belong"), "the key is missing");
    assert!(uses(&tls, &old) && Arc::ptr_eq(&before, &tls.server_config()));
    place.write("key", &new.key);
    watch.look();
    assert!(uses(&tls, &old));
    watch.look();
    assert!(uses(&tls, &new) && tls.served().failure.is_none());
    assert!(!Arc::ptr_eq(&before, &tls.server_config()));
}

#[test]
fn a_pair_that_is_missing_or_damaged_for_a_while_stays_in_use() {
    let old = any();
    let place = Place::with(&old);
    let tls = place.open().unwrap();
    let mut watch = Watch::new(&tls);
    let damages: [&dyn Fn(); 3] = [
        &|| std::fs::remove_file(place.path("certificate")).unwrap(),
        &|| place.write("certificate", &old.certificate[..300]),
        &|| place.write("key", ""),
    ];
    for damage in damages {
        damage();
        watch.look();
        watch.look();
        assert!(uses(&tls, &old) && tls.served().failure.is_some());
        place.write("certificate", &old.certificate);
        place.write("key", &old.key);
        watch.look();
        watch.look();
        assert!(uses(&tls, &old) && tls.served().failure.is_none());
    }
}

/// Kubernetes and certbot put a link to other files in the place of the old one. The files may
/// have the same size and time.
#[test]
fn a_link_to_other_files_is_noticed() {
    let (old, new) = (any(), any());
    let place = Place(tempfile::tempdir().unwrap());
    for (folder, issued) in [("one", &old), ("two", &new)] {
        std::fs::create_dir(place.path(folder)).unwrap();
        place.write(&format!("{folder}/certificate"), &issued.certificate);
        place.write(&format!("{folder}/key"), &issued.key);
    }
    std::os::unix::fs::symlink("one", place.path("current")).unwrap();
    let tls = Tls::open(&place.path("current/certificate"), &place.path("current/key")).unwrap();
    let mut watch = Watch::new(&tls);
    std::os::unix::fs::symlink("two", place.path("next")).unwrap();
    std::fs::rename(place.path("next"), place.path("current")).unwrap();
    watch.look();
    watch.look();
    assert!(uses(&tls, &new));
}
