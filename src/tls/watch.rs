//! Reads the files again when they change.
//!
//! Their contents are compared, not their times: a link may have been put in the place of another,
//! as certbot and Kubernetes do. A change is used once both files were the same at two looks, so
//! that a file is never used while it is being written, nor a certificate before its key is there.

use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use super::Tls;
use super::files::Digest;
use super::pair::Pair;
use crate::clock;

/// Interval between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Interval between two warnings of a certificate that expires or has expired.
const WARN_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Looks at the files of a certificate again and again.
pub(super) struct Watch {
    tls: Tls,
    /// What the files contained at the last look.
    seen: Digest,
    /// The contents that are in use, or that were rejected last.
    judged: Digest,
    warned: Instant,
}

impl Watch {
    /// Begins after the files were read, and the operator was warned.
    pub(super) fn new(tls: &Tls) -> Watch {
        let digest = tls.lock().digest;
        Watch { tls: tls.clone(), seen: digest, judged: digest, warned: Instant::now() }
    }

    /// Looks every two seconds, until it is dropped.
    pub(super) async fn run(mut self) {
        let mut pace = interval(LOOK_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            // The files may be on a disk that hangs.
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(watch) => self = watch,
                Err(error) => {
                    log::error!("the files of the TLS certificate are no longer read: {error}");
                    return;
                }
            }
        }
    }

    /// Looks at the files once. Uses them if they have changed and are sound.
    pub(super) fn look(&mut self) {
        self.warn();
        let read = self.tls.0.files.read();
        let digest = Digest::of(&read);
        let is_settled = self.seen == digest;
        self.seen = digest;
        if !is_settled || self.judged == digest {
            return;
        }
        self.judged = digest;
        match read.and_then(|contents| Pair::of(&self.tls.0.files, &contents)) {
            Ok(pair) => {
                log::info!("loaded the TLS certificate again: it expires on {} UTC", pair.certificate.ends());
                let warnings = pair.certificate.warning(clock::now()).into_iter();
                warnings.chain(self.tls.0.files.exposed_key()).for_each(|warning| log::warn!("{warning}"));
                let mut state = self.tls.lock();
                (state.pair, state.digest, state.failure) = (pair, digest, None);
            }
            Err(why) => {
                log::error!("the TLS certificate was changed, and the one from before stays in use: {why}");
                self.tls.lock().failure = Some(why);
            }
        }
    }

    /// Warns once a day of a certificate that should have been renewed.
    fn warn(&mut self) {
        if self.warned.elapsed() < WARN_EVERY {
            return;
        }
        self.warned = Instant::now();
        if let Some(warning) = self.tls.served().certificate.warning(clock::now()) {
            log::warn!("{warning}");
        }
    }
}
