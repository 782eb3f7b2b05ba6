//! Password hashing kept in bounds: as many at once as there are cores, never on the async threads, and a queue that
//! says so when it is too long. Never hold a database connection while waiting for it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::password_hash::{self, HashError, Verified};
use crate::domain::Password;

/// Hashes and verifies passwords. Cheap to clone; all clones share the same bounds. Make one for the whole server,
/// outside the function that makes an application for each worker.
#[derive(Clone, Debug)]
pub struct Hasher {
    bcrypt_cost: u32,
    /// One for each hash that may run.
    running: Arc<Semaphore>,
    /// One for each caller that may wait for one of those.
    waiting: Arc<Semaphore>,
}

impl Hasher {
    /// `bcrypt_cost` in doublings; `permits` hashes run at once, as many as there are cores (at least one); up to
    /// `max_waiting` callers wait for one of them.
    pub fn new(bcrypt_cost: u32, permits: usize, max_waiting: usize) -> Hasher {
        let semaphore = |places: usize| Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Hasher { bcrypt_cost, running: semaphore(permits.max(1)), waiting: semaphore(max_waiting) }
    }

    /// Hashes a password for storing. `Busy` at once if too many wait already.
    pub async fn hash(&self, password: impl Into<Password>) -> Result<String, HashError> {
        let (password, cost) = (password.into(), self.bcrypt_cost);
        self.run(move || password_hash::hash(&password, cost)).await?
    }

    /// Checks a password. `None` stands for a name that does not exist: the same work, then `No`. `Busy` at once if too
    /// many wait already.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verified, HashError> {
        let cost = self.bcrypt_cost;
        self.run(move || match stored {
            Some(stored) => password_hash::verify(&password, &stored, cost),
            None => {
                password_hash::spend_equal_time(&password, cost);
                Verified::No
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let permit = match Arc::clone(&self.running).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                // A caller that goes away drops this future, and its place with it.
                let _place = self.waiting.try_acquire().map_err(|_| HashError::Busy)?;
                Arc::clone(&self.running).acquire_owned().await.map_err(failed)?
            }
        };
        let blocking = tokio::task::spawn_blocking(move || {
            // The permit goes with the work and not with the caller, who may leave while a core is still busy.
            let _permit = permit;
            work()
        });
        blocking.await.map_err(failed)
    }
}

fn failed(error: impl std::fmt::Display) -> HashError {
    HashError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NewPassword, Username};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    /// A piece of work that tells when it has begun, and runs until it is let go.
    struct Held {
        caller: JoinHandle<Result<(), HashError>>,
        begun: oneshot::Receiver<()>,
        let_go: mpsc::Sender<()>,
    }

    fn hold(hasher: &Hasher) -> Held {
        let (tell, begun) = oneshot::channel();
        let (let_go, until) = mpsc::channel();
        let hasher = hasher.clone();
        let work = move || {
            tell.send(()).unwrap();
            let _ = until.recv();
        };
        Held { caller: tokio::spawn(async move { hasher.run(work).await }), begun, let_go }
    }

    fn new_password(text: &str) -> NewPassword {
        NewPassword::parse(text, &Username::parse("ada").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_new_hash_verifies_and_an_unknown_name_does_not() {
        let hasher = Hasher::new(4, 2, 2);
        let stored = hasher.hash(new_password("xk7-qpzw")).await.unwrap();
        let password = || Password::parse("xk7-qpzw").unwrap();
        assert_eq!(hasher.verify(password(), Some(stored.clone())).await, Ok(Verified::Yes));
        assert_eq!(hasher.verify(Password::parse("other").unwrap(), Some(stored)).await, Ok(Verified::No));
        assert_eq!(hasher.verify(password(), None).await, Ok(Verified::No));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn never_more_run_at_once_than_there_are_permits() {
        const PERMITS: usize = 3;
        let hasher = Hasher::new(4, PERMITS, 100);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let together = Arc::new(std::sync::Barrier::new(PERMITS));
        let callers: Vec<_> = (0..10 * PERMITS)
            .map(|_| {
                let (hasher, now, most, together) =
                    (hasher.clone(), now.clone(), most.clone(), together.clone());
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // Goes on only when as many run as may, so the test also hangs if fewer ever do.
                        together.wait();
                        now.fetch_sub(1, Ordering::SeqCst);
                    };
                    hasher.run(work).await
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), Ok(()));
        }
        assert_eq!(most.load(Ordering::SeqCst), PERMITS);
    }

    #[tokio::test]
    async fn past_the_bound_the_answer_is_busy_at_once() {
        let hasher = Hasher::new(4, 1, 1);
        let mut running = hold(&hasher);
        (&mut running.begun).await.unwrap();
        let waiting = hold(&hasher);
        while hasher.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let password = Password::parse("x").unwrap();
        assert_eq!(hasher.verify(password, None).await, Err(HashError::Busy));
        assert_eq!(hasher.hash(new_password("xk7-qpzw")).await, Err(HashError::Busy));
        running.let_go.send(()).unwrap();
        waiting.let_go.send(()).unwrap();
        assert_eq!(running.caller.await.unwrap(), Ok(()));
        assert_eq!(waiting.caller.await.unwrap(), Ok(()));
        assert_eq!(hasher.verify(Password::parse("x").unwrap(), None).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn a_caller_who_leaves_keeps_the_core_busy_and_gives_up_a_place_in_the_queue() {
        let hasher = Hasher::new(4, 1, 1);
        let mut running = hold(&hasher);
        (&mut running.begun).await.unwrap();
        running.caller.abort();
        assert!(running.caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.running.available_permits(), 0, "the work still runs");

        let waiting = hold(&hasher);
        while hasher.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        waiting.caller.abort();
        assert!(waiting.caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.waiting.available_permits(), 1, "the place is free again");

        running.let_go.send(()).unwrap();
        assert_eq!(hasher.verify(Password::parse("x").unwrap(), None).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone_and_gives_its_permit_back() {
        let hasher = Hasher::new(4, 1, 0);
        let result = hasher.run(|| panic!("a defect")).await;
        assert!(matches!(result, Err::<(), _>(HashError::Failed(_))));
        assert_eq!(hasher.verify(Password::parse("x").unwrap(), None).await, Ok(Verified::No));
    }
}
