//! What the server knows of its own certificate.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};

/// How long before its end a certificate should have been renewed. ACME clients renew earlier.
const RENEWED_BEFORE: TimeDelta = TimeDelta::days(14);

/// A server's certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) der: CertificateDer<'static>,
    pub(super) begins: NaiveDateTime,
    ends: NaiveDateTime,
}

/// Whether a certificate is valid at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It is valid from a later time on.
    NotYet,
    /// It is valid, and for two weeks at least.
    Valid,
    /// It is valid for this number of whole days, less than 14.
    EndsSoon(i64),
    /// It has expired.
    Ended,
}

impl Certificate {
    /// Parses a certificate. Returns `None` if it is malformed or not of X.509's version 3.
    pub(super) fn parse(der: CertificateDer<'static>) -> Option<Certificate> {
        let (begins, ends) = {
            let parsed = ParsedCertificate::try_from(&der).ok()?;
            (beginning(&parsed), end(&parsed)?)
        };
        Some(Certificate { der, begins, ends })
    }

    /// Returns when it expires, in UTC.
    pub fn ends(&self) -> NaiveDateTime {
        self.ends
    }

    /// Returns whether it is valid at this time.
    pub fn validity(&self, now: NaiveDateTime) -> Validity {
        let left = self.ends - now;
        if now < self.begins {
            Validity::NotYet
        } else if left < TimeDelta::zero() {
            Validity::Ended
        } else if left < RENEWED_BEFORE {
            Validity::EndsSoon(left.num_days())
        } else {
            Validity::Valid
        }
    }

    /// Returns a sentence for the log if the operator has to do something.
    pub(super) fn warning(&self, now: NaiveDateTime) -> Option<String> {
        let (begins, ends) = (self.begins, self.ends);
        match self.validity(now) {
            Validity::Valid => None,
            Validity::NotYet => Some(format!(
                "the TLS certificate is valid from {begins} UTC on, and it is {}: check the clock",
                now.format("%F %T")
            )),
            Validity::EndsSoon(_) => Some(format!("the TLS certificate expires on {ends} UTC: renew it")),
            Validity::Ended => Some(format!(
                "the TLS certificate expired on {ends} UTC: clients refuse it; renew it, and the server \
                 reads the new files by itself"
            )),
        }
    }

    /// Returns whether it is for this host: a name, or an IP address with or without brackets.
    pub fn is_for(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']);
        let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(&self.der), ServerName::try_from(host))
        else {
            return false;
        };
        verify_server_name(&parsed, &name).is_ok()
    }
}

/// Returns the time until which a certificate is valid.
fn end(certificate: &ParsedCertificate<'_>) -> Option<NaiveDateTime> {
    match verified_at(certificate, u64::MAX) {
        Err(Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. })) => time(not_after),
        _ => None,
    }
}

/// Returns the time from which a certificate is valid.
fn beginning(certificate: &ParsedCertificate<'_>) -> NaiveDateTime {
    match verified_at(certificate, 0) {
        Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. })) => {
            time(not_before).unwrap_or_default()
        }
        // It was valid in 1970.
        _ => NaiveDateTime::default(),
    }
}

/// Verifies a certificate as a client would at this time, in seconds since 1970. No root is
/// trusted, so this always fails, but the certificate's times are compared first, and the error
/// contains them. rustls has no other way of reading them.
fn verified_at(certificate: &ParsedCertificate<'_>, seconds: u64) -> Result<(), Error> {
    let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    verify_server_cert_signed_by_trust_anchor(certificate, &RootCertStore::empty(), &[], at, &[])
}

fn time(time: UnixTime) -> Option<NaiveDateTime> {
    let seconds = i64::try_from(time.as_secs()).ok()?;
    DateTime::from_timestamp(seconds, 0).map(|time| time.naive_utc())
}
