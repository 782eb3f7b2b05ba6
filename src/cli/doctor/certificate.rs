//! The check of the server's certificate.

use super::check::Check;
use crate::clock;
use crate::config::Config;
use crate::tls::Validity;

/// The name of the check.
const NAME: &str = "certificate";

pub(super) fn check(config: &Config) -> Check {
    let tls = match config.tls.files.open() {
        Ok(Some(tls)) => tls,
        Ok(None) => return Check::skipped(NAME, "the server does not speak TLS itself"),
        Err(why) => return Check::failure(NAME, why, "the server does not start until this is corrected"),
    };
    let certificate = tls.served().certificate;
    let ends = certificate.ends().format("%F");
    let host = config.listen.public_url.as_ref().and_then(|url| url.host_str());
    match (certificate.validity(clock::now()), host) {
        (Validity::Ended, _) => Check::failure(
            NAME,
            format!("it expired on {ends}"),
            "clients refuse it: renew it, and a server that runs reads the new files by itself",
        ),
        (Validity::NotYet, _) => Check::failure(
            NAME,
            "it is valid only from a later time on",
            "clients refuse it: check the clock, or give another one",
        ),
        (Validity::EndsSoon(_), _) => Check::warning(
            NAME,
            format!("it expires on {ends}"),
            "renew it, and a server that runs reads the new files by itself",
        ),
        (Validity::Valid, Some(host)) if !certificate.is_for(host) => Check::warning(
            NAME,
            format!("it is not for {host}, the host of --public-url"),
            "clients refuse it, unless a proxy in front shows them another one: get one for this host",
        ),
        (Validity::Valid, _) => Check::ok(NAME, format!("it is valid until {ends}")),
    }
}
