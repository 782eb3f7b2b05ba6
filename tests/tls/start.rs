//! What a start says of the certificate and its key.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::{Said, run_with};
use crate::support::certificates::{Certificates, Issued, client_of};
use crate::support::http::Client;
use crate::support::server::{Launch, Server};
use crate::support::wire::Connector;
use crate::support::{On, TestDatabase, require, temporary, wait};

/// Runs `serve`, which must refuse to start.
fn refused(database: &TestDatabase, flags: &[&str]) -> Said {
    run_with(database, &[&["serve", "--bind", "127.0.0.1:0"], flags].concat(), "")
}

#[test]
fn a_start_without_a_usable_pair_names_the_setting_and_what_to_do() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let certificates = Certificates::new();
    let [certificate_flag, certificate, key_flag, key] = certificates.flags();
    for (flags, why) in [
        (&[certificate_flag, certificate][..], "--tls-certificate needs --tls-key"),
        (&[key_flag, key], "--tls-key needs --tls-certificate"),
        (&[certificate_flag, "missing.pem", key_flag, key], "--tls-certificate: missing.pem cannot be read"),
        (&[certificate_flag, certificate, key_flag, "missing.pem"], "--tls-key: the file cannot be read"),
        (&[certificate_flag, key, key_flag, key], "contains no certificate in PEM"),
        (&[certificate_flag, certificate, key_flag, certificate], "contains no whole private key in PEM"),
    ] {
        refused(&database, flags).assert_refused(1, why);
    }
    let other = certificates.issue(10);
    certificates.write_key(&other.key);
    let said = refused(&database, &certificates.flags());
    said.assert_refused(1, "--tls-key: the key does not belong to the first certificate in");
    assert!(!said.err.contains(other.key.lines().nth(1).unwrap()), "{said:?}");
}

/// Somebody may put the key itself where the name of its file belongs.
#[test]
fn a_key_in_place_of_its_files_name_is_not_printed() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let certificates = Certificates::new();
    let key = certificates.issue(10).key;
    let flags = certificates.flags();
    let said = refused(&database, &[flags[0], flags[1], &format!("--tls-key={key}")]);
    said.assert_refused(1, "--tls-key: the file cannot be read");
    assert!(!said.err.contains(key.lines().nth(1).unwrap()), "{said:?}");
}

/// Starts a server with a certificate that expires after this number of days, and returns its log.
fn log_with(days: i64, mode: u32, flags: &[&str]) -> Option<String> {
    let database = TestDatabase::create(On::Sqlite)?;
    let certificates = Arc::new(Certificates::new());
    certificates.write(&certificates.issue(days));
    std::fs::set_permissions(certificates.key_file(), std::fs::Permissions::from_mode(mode)).unwrap();
    let mut server = Launch::on(&database).flags(flags).with(&certificates).spawn();
    assert!(server.listening_or_dead().is_some(), "{}", server.log());
    // The line with the link comes after all warnings.
    wait::until("the link", Duration::from_secs(20), || {
        server.log().contains("/admin/first-run/").then_some(())
    });
    Some(server.log())
}

#[test]
fn a_start_warns_of_what_clients_will_refuse() {
    let public = ["--public-url", "https://chat.example"];
    let other = ["--public-url", "https://other.example:8443"];
    let plain = ["--public-url", "http://chat.example"];
    let warnings = [
        "the TLS certificate expired on ",
        "the TLS certificate expires on ",
        "the TLS certificate is not for other.example",
        "every user of this machine may read ",
        "--public-url begins with http://, but",
    ];
    for (days, mode, flags, expected) in [
        (-1, 0o600, &[][..], Some(0)),
        (5, 0o600, &public, Some(1)),
        (60, 0o640, &public, None),
        (60, 0o600, &other, Some(2)),
        (60, 0o644, &[], Some(3)),
        (60, 0o600, &plain, Some(4)),
    ] {
        let Some(log) = log_with(days, mode, flags) else { return };
        for (number, warning) in warnings.iter().enumerate() {
            assert_eq!(log.contains(warning), expected == Some(number), "{warning} in {log}");
        }
        let address = match flags {
            [_, url] => (*url).to_owned(),
            _ => "https://127.0.0.1:".to_owned(),
        };
        assert!(log.contains("listening on https://127.0.0.1:"), "{log}");
        assert!(log.contains(&format!("\n    {address}")), "the link must begin with {address}: {log}");
    }
}

#[test]
fn a_start_warns_of_hsts_without_https() {
    let hsts = "--hsts has no effect";
    let subdomains = "--hsts-include-subdomains has no effect";
    for (flags, expected) in [
        (&["--hsts", "300"][..], &[hsts][..]),
        (&["--hsts", "300", "--trusted-proxies", "127.0.0.1"], &[]),
        (&["--hsts", "off"], &[]),
        (&["--hsts-include-subdomains", "on"], &[subdomains]),
        (&["--hsts-include-subdomains", "on", "--public-url", "https://chat.example"], &[]),
        (&["--hsts-include-subdomains", "on", "--public-url", "http://chat.example"], &[subdomains]),
        (
            &["--hsts-include-subdomains", "on", "--hsts", "off", "--public-url", "https://chat.example"],
            &[subdomains],
        ),
    ] {
        let Some(database) = TestDatabase::create(On::Sqlite) else { return };
        let log = Server::start(&database, flags).log();
        for warning in [hsts, subdomains] {
            assert_eq!(log.contains(warning), expected.contains(&warning), "{flags:?}: {log}");
        }
    }
}

/// Runs `openssl` in a folder.
fn openssl(folder: &Path, words: &str) {
    let output = Command::new("openssl").args(words.split_whitespace()).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn keys_of_each_usual_kind_work() {
    if require::program("openssl").is_none() {
        return require::missing("openssl", "install it, on Debian: apt-get install openssl");
    }
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let certificates = Arc::new(Certificates::new());
    for (make, is_usable) in [
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem", true),
        ("genrsa -traditional -out key.pem 3072", true),
        ("ecparam -name prime256v1 -genkey -out key.pem", true),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem", true),
        ("genpkey -algorithm ED25519 -out key.pem", true),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem", false),
        ("ecparam -name secp521r1 -genkey -out key.pem", false),
    ] {
        let folder = temporary::directory();
        openssl(folder.path(), make);
        openssl(
            folder.path(),
            "req -x509 -new -key key.pem -out certificate.pem -days 30 -subj /CN=localhost \
             -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
        );
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let issued = Issued { certificate: read("certificate.pem"), key: read("key.pem") };
        certificates.write(&issued);
        if !is_usable {
            refused(&database, &certificates.flags()).assert_refused(1, "--tls-key: the key cannot be used");
            continue;
        }
        let mut server = Launch::on(&database).with(&certificates).spawn();
        let address = server.listening_or_dead().unwrap_or_else(|| panic!("{make}: {}", server.log()));
        let connector = Connector::Tls(Arc::new(client_of(&issued.certificate, rustls::ALL_VERSIONS)));
        let answer = Client::over(address, connector).send("GET", "/healthz", &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{make}");
    }
}

/// Returns the command in a document that begins with these words, with its continued lines.
fn command(document: &str, beginning: &str) -> String {
    let lines = document.lines().map(str::trim).skip_while(|line| !line.starts_with(beginning));
    let mut command = String::new();
    for line in lines {
        let (part, goes_on) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        command.push_str(part);
        if !goes_on {
            break;
        }
    }
    assert!(!command.is_empty(), "the document has no {beginning}");
    command
}

#[test]
fn the_certificate_for_a_try_out_works_as_the_document_says() {
    let document = include_str!("../../docs/operating.md");
    let missing = ["openssl", "curl"].into_iter().find(|name| require::program(name).is_none());
    if let Some(name) = missing {
        return require::missing(name, &format!("install it, on Debian: apt-get install {name}"));
    }
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let folder = temporary::directory();
    let run = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    run(&command(document, "openssl req -x509"));
    let serve = command(document, "tollgate --bind 127.0.0.1:8443");
    let names: Vec<&str> = serve.split_whitespace().filter(|word| word.ends_with(".pem")).collect();
    let paths: Vec<String> =
        names.iter().map(|name| folder.path().join(name).to_str().unwrap().to_owned()).collect();
    let flags = ["--tls-certificate", &paths[0], "--tls-key", &paths[1]];
    let mut server = Launch::on(&database).flags(&flags).spawn();
    let address = server.listening_or_dead().unwrap_or_else(|| panic!("{}", server.log()));
    let curl = command(document, "curl --cacert");
    let answer = run(&curl.replace(":8443", &format!(":{}", address.port())));
    assert!(answer.contains("alive"), "{answer}");
}
