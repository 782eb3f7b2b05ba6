//! The settings of TLS.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use crate::tls::Tls;

/// The longest time of HSTS, in seconds: ten years.
const MOST_HSTS: u32 = 10 * 365 * 24 * 3600;

/// The files of the server's certificate.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsFiles {
    /// File with the server's certificate and then those that signed it, in PEM: the server speaks
    /// https and nothing else; needs --tls-key [default: none]
    #[arg(global = true, long, env = "TOLLGATE_TLS_CERTIFICATE", value_name = "FILE")]
    pub tls_certificate: Option<PathBuf>,
    /// File with the private key of --tls-certificate, in PEM and without a passphrase [default:
    /// none]
    #[arg(global = true, long, env = "TOLLGATE_TLS_KEY", hide_env_values = true, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
}

/// Settings of TLS.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "TLS")]
pub struct TlsArgs {
    /// The certificate and its key.
    #[command(flatten)]
    pub files: TlsFiles,
    /// Seconds for which browsers may use nothing but https (HSTS); 0 makes them forget it; off
    /// says nothing [default: a year if --public-url is https://, otherwise off]
    #[arg(global = true, long, env = "TOLLGATE_HSTS", value_name = "SECONDS")]
    pub hsts: Option<Hsts>,
}

/// The setting of HSTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hsts {
    /// The header is not sent.
    Off,
    /// Browsers shall use https for this number of seconds. 0 ends that.
    Seconds(u32),
}

impl FromStr for Hsts {
    type Err = String;

    fn from_str(text: &str) -> Result<Hsts, String> {
        if text == "off" {
            return Ok(Hsts::Off);
        }
        match text.parse() {
            Ok(seconds @ 0..=MOST_HSTS) => Ok(Hsts::Seconds(seconds)),
            _ => Err(format!("give a number of seconds from 0 to {MOST_HSTS}, or off; a year is 31536000")),
        }
    }
}

impl TlsFiles {
    /// Returns whether the server itself speaks https.
    pub fn is_on(&self) -> bool {
        self.tls_certificate.is_some()
    }

    /// Reads the certificate and its key. Returns `None` if the server speaks plain HTTP.
    ///
    /// # Errors
    /// A text that says which setting is missing or wrong, and what to do.
    pub fn open(&self) -> Result<Option<Tls>, String> {
        match (&self.tls_certificate, &self.tls_key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Tls::open(certificate, key).map(Some),
            (Some(_), None) => {
                Err("--tls-certificate needs --tls-key, the file with the certificate's private key; give both or \
                     neither"
                    .to_owned())
            }
            (None, Some(_)) => {
                Err("--tls-key needs --tls-certificate, the file with the certificate; give both or neither"
                    .to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsts_is_off_or_a_number_of_seconds() {
        assert_eq!("off".parse(), Ok(Hsts::Off));
        for (text, seconds) in [("0", 0), ("300", 300), ("315360000", MOST_HSTS)] {
            assert_eq!(text.parse(), Ok(Hsts::Seconds(seconds)));
        }
        for bad in ["", "on", "-1", "315360001", "1y", "1.5", "31536000; preload"] {
            assert!(bad.parse::<Hsts>().is_err(), "{bad}");
        }
    }
}
