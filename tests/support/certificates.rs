//! Certificates of an authority that only the tests trust.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate, TimeDelta};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ALL_VERSIONS, ClientConfig, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tollgate::clock;

use super::temporary;
use super::wire::Connector;

/// The names of the server's certificates.
pub const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "chat.example", "tollgate.internal"];

/// An authority, and the files of a certificate that it has signed.
pub struct Certificates {
    issuer: Issuer<'static, KeyPair>,
    authority: String,
    certificate: String,
    key: String,
    folder: TempDir,
}

/// A certificate and its key in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Issued {
    /// Returns the certificate as it is sent in a handshake.
    pub fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap().to_vec()
    }
}

impl Certificates {
    /// Makes an authority, and the files of a certificate that is valid for 90 more days.
    pub fn new() -> Certificates {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let folder = temporary::directory();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let certificates = Certificates {
            issuer: Issuer::new(params, key),
            authority,
            certificate: path("certificate.pem"),
            key: path("key.pem"),
            folder,
        };
        std::fs::write(certificates.authority_file(), &certificates.authority).unwrap();
        certificates.write(&certificates.issue(90));
        certificates
    }

    /// Issues a certificate for [`NAMES`] that expires after this number of days, counted from the
    /// last midnight. It is valid from 30 days before that day.
    pub fn issue(&self, days: i64) -> Issued {
        let day = |days: i64| {
            let date: NaiveDate = clock::now().date() + TimeDelta::days(days);
            let number = |number: u32| u8::try_from(number).unwrap();
            date_time_ymd(date.year(), number(date.month()), number(date.day()))
        };
        let names: Vec<String> = NAMES.map(str::to_owned).to_vec();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a server of the tests");
        params.not_before = day(days.min(0) - 30);
        params.not_after = day(days);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        Issued { certificate, key: key.serialize_pem() }
    }

    /// Puts a certificate and its key into the files.
    pub fn write(&self, issued: &Issued) {
        self.write_certificate(&issued.certificate);
        self.write_key(&issued.key);
    }

    /// Replaces the certificate's file at once.
    pub fn write_certificate(&self, content: &str) {
        self.replace(&self.certificate, content);
    }

    /// Replaces the key's file at once. Only its owner may read it.
    pub fn write_key(&self, content: &str) {
        self.replace(&self.key, content);
    }

    fn replace(&self, path: &str, content: &str) {
        use std::os::unix::fs::PermissionsExt;
        let new = self.folder.path().join("new");
        std::fs::write(&new, content).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    /// Returns the settings of a server that uses the files.
    pub fn flags(&self) -> [&str; 4] {
        ["--tls-certificate", &self.certificate, "--tls-key", &self.key]
    }

    pub fn key_file(&self) -> PathBuf {
        PathBuf::from(&self.key)
    }

    /// Returns the file of the authority's certificate.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// Returns the settings of a client that trusts the authority.
    pub fn client(&self) -> ClientConfig {
        client_of(&self.authority, ALL_VERSIONS)
    }

    /// Returns the settings of a client that speaks only these versions of TLS.
    pub fn client_of(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        client_of(&self.authority, versions)
    }

    pub fn connector(&self) -> Connector {
        Connector::Tls(Arc::new(self.client()))
    }
}

/// Returns the settings of a client that trusts this certificate, in PEM.
pub fn client_of(trusted: &str, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
