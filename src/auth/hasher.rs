//! Limits password hashing: one hash per core at a time, never on the async threads, and origins
//! take turns. Never hold a database connection while waiting for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::hashing::HashTimes;
use super::password_hash::{self, HashError, Verified};
use super::usual_cost::UsualCost;
use crate::domain::Password;
use crate::throttle::{Lane, Turns};

/// Hashes and verifies passwords. Cheap to clone; all clones share the same limits. Make one for
/// the whole server, outside the function that makes an application for each worker.
#[derive(Clone, Debug)]
pub struct Hasher {
    bcrypt_cost: u32,
    /// One permit for each hash that may run at once.
    turns: Turns,
    usual_cost: Arc<UsualCost>,
    times: Arc<HashTimes>,
}

/// Who asks for a hash: the lane to wait in, and the address that takes turns with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The lane in which it waits.
    pub lane: Lane,
    /// The address that takes turns with others.
    pub from: IpAddr,
}

impl Hasher {
    /// Makes a hasher. `bcrypt_cost` is in doublings. `permits` is the number of hashes that run at
    /// once: the number of cores, at least one.
    pub fn new(bcrypt_cost: u32, permits: usize) -> Hasher {
        let usual_cost = Arc::new(UsualCost::new(bcrypt_cost));
        Hasher { bcrypt_cost, turns: Turns::new(permits), usual_cost, times: Arc::default() }
    }

    /// Returns the times of hashes since the start.
    pub fn times(&self) -> &HashTimes {
        &self.times
    }

    /// Returns the number of hashes that run now.
    pub fn running(&self) -> usize {
        self.turns.held()
    }

    /// Returns the number of requests that wait for a hash.
    pub fn waiting(&self) -> usize {
        self.turns.waiting()
    }

    /// Returns the usual cost of the stored hashes.
    pub(super) fn usual_cost(&self) -> &UsualCost {
        &self.usual_cost
    }

    /// Hashes a password for storing.
    ///
    /// # Errors
    /// [`HashError::Busy`] if too many already wait.
    pub async fn hash(
        &self,
        requester: Requester,
        password: impl Into<Password>,
    ) -> Result<String, HashError> {
        let (password, cost) = (password.into(), self.bcrypt_cost);
        self.run(requester, move || password_hash::hash(&password, cost)).await?
    }

    /// Checks a password. `None` stands for a name that does not exist: it takes the same work and
    /// returns [`Verified::No`].
    ///
    /// # Errors
    /// [`HashError::Busy`] if too many already wait.
    pub async fn verify(
        &self,
        requester: Requester,
        password: Password,
        stored: Option<String>,
    ) -> Result<Verified, HashError> {
        let (cost, usual) = (self.bcrypt_cost, self.usual_cost.clone());
        self.run(requester, move || match stored {
            Some(stored) => {
                usual.learn(&stored);
                password_hash::verify(&password, &stored, cost, usual.get())
            }
            None => {
                password_hash::spend_equal_time(&password, usual.get());
                Verified::No
            }
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        requester: Requester,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let asked = Instant::now();
        let turn = self.turns.acquire(requester.lane, requester.from).await.map_err(|_| HashError::Busy)?;
        self.times.waits.observe(asked.elapsed());
        let times = self.times.clone();
        let blocking = tokio::task::spawn_blocking(move || {
            // The permit belongs to the work, not to the caller, who may disconnect while a core is
            // still busy.
            let _turn = turn;
            let began = Instant::now();
            let done = work();
            times.durations.observe(began.elapsed());
            done
        });
        blocking.await.map_err(|error| HashError::Failed(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{NewPassword, Username};
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    const HERE: Requester = Requester { lane: Lane::Open, from: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    /// The number of requests of one address that may wait.
    const PLACES: usize = 32;

    /// A piece of work that reports when it begins, and then runs until it is released.
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
        Held { caller: tokio::spawn(async move { hasher.run(HERE, work).await }), begun, let_go }
    }

    async fn until_waiting(hasher: &Hasher, number: usize) {
        while hasher.turns.waiting() != number {
            tokio::task::yield_now().await;
        }
    }

    fn new_password(text: &str) -> NewPassword {
        NewPassword::parse(text, &Username::parse("ada").unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_new_hash_verifies_and_an_unknown_name_does_not() {
        let hasher = Hasher::new(4, 2);
        let stored = hasher.hash(HERE, new_password("xk7-qpzw")).await.unwrap();
        let password = || Password::parse("xk7-qpzw").unwrap();
        let other = Password::parse("other").unwrap();
        assert_eq!(hasher.verify(HERE, password(), Some(stored.clone())).await, Ok(Verified::Yes));
        assert_eq!(hasher.verify(HERE, other, Some(stored)).await, Ok(Verified::No));
        assert_eq!(hasher.verify(HERE, password(), None).await, Ok(Verified::No));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn never_more_run_at_once_than_there_are_permits() {
        const PERMITS: usize = 3;
        let hasher = Hasher::new(4, PERMITS);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let together = Arc::new(std::sync::Barrier::new(PERMITS));
        let callers: Vec<_> = (0..10 * PERMITS)
            .map(|_| {
                let (hasher, now, most, together) =
                    (hasher.clone(), now.clone(), most.clone(), together.clone());
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        // The barrier opens only when all permits are in use, so the test also
                        // hangs if fewer hashes run.
                        together.wait();
                        now.fetch_sub(1, Ordering::SeqCst);
                    };
                    hasher.run(HERE, work).await
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
        let hasher = Hasher::new(4, 1);
        let mut running = hold(&hasher);
        (&mut running.begun).await.unwrap();
        let waiting: Vec<_> = (0..PLACES).map(|_| hold(&hasher)).collect();
        until_waiting(&hasher, PLACES).await;
        let password = Password::parse("x").unwrap();
        assert_eq!(hasher.verify(HERE, password.clone(), None).await, Err(HashError::Busy));
        assert_eq!(hasher.hash(HERE, new_password("xk7-qpzw")).await, Err(HashError::Busy));
        running.let_go.send(()).unwrap();
        assert_eq!(running.caller.await.unwrap(), Ok(()));
        for waiting in waiting {
            waiting.let_go.send(()).unwrap();
            assert_eq!(waiting.caller.await.unwrap(), Ok(()));
        }
        assert_eq!(hasher.verify(HERE, password, None).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn a_caller_who_leaves_keeps_the_core_busy_and_gives_up_a_place_in_the_queue() {
        let hasher = Hasher::new(4, 1);
        let mut running = hold(&hasher);
        (&mut running.begun).await.unwrap();
        running.caller.abort();
        assert!(running.caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.turns.held(), 1, "the work still runs");

        let waiting = hold(&hasher);
        until_waiting(&hasher, 1).await;
        waiting.caller.abort();
        assert!(waiting.caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.turns.waiting(), 0, "the place is free again");

        running.let_go.send(()).unwrap();
        let password = Password::parse("x").unwrap();
        assert_eq!(hasher.verify(HERE, password, None).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn work_that_panics_fails_alone_and_gives_its_permit_back() {
        let hasher = Hasher::new(4, 1);
        let result = hasher.run(HERE, || panic!("a defect")).await;
        assert!(matches!(result, Err::<(), _>(HashError::Failed(_))));
        let password = Password::parse("x").unwrap();
        assert_eq!(hasher.verify(HERE, password, None).await, Ok(Verified::No));
    }

    #[tokio::test]
    async fn an_unknown_name_costs_what_stored_hashes_usually_cost() {
        let dear = Hasher::new(6, 1).hash(HERE, new_password("xk7-qpzw")).await.unwrap();
        let hasher = Hasher::new(4, 1);
        assert_eq!(hasher.usual_cost().get(), 4);
        let password = || Password::parse("other").unwrap();
        assert_eq!(hasher.verify(HERE, password(), Some(dear)).await, Ok(Verified::No));
        assert_eq!(hasher.usual_cost().get(), 6);
    }
}
