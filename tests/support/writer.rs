//! Control over the content of a batch: a writer that is held, and writes that are certainly queued
//! behind it.

use std::pin::Pin;
use std::sync::{Mutex, mpsc};
use std::task::{Context, Poll, Waker};

use tollgate::db::{Db, DbConnection, Scope};
use tollgate::error::Result;

/// A queued write, to be awaited later.
pub type Queued<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A writer that is busy with a job of the test until it is released.
pub struct HeldWriter {
    release: mpsc::Sender<()>,
    job: Queued<()>,
}

impl HeldWriter {
    /// Waits until the writer runs the job. There must be only one writer.
    pub fn hold(db: &Db) -> HeldWriter {
        let (entered, wait_for_entry) = mpsc::channel();
        let (release, wait_for_release) = mpsc::channel::<()>();
        let (db, wait_for_release) = (db.clone(), Mutex::new(wait_for_release));
        let job = queue(async move {
            let job = move |_: &mut DbConnection| {
                let _ = entered.send(());
                // Dropping the sender also releases the writer, if the test fails.
                let _ = wait_for_release.lock().unwrap().recv();
                Ok(())
            };
            db.write(Scope::none(), job).await
        });
        wait_for_entry.recv().expect("the writer must run the job");
        HeldWriter { release, job }
    }

    /// Lets the writer continue. Its next batch is what was queued in the meantime.
    pub async fn release(self) {
        drop(self.release);
        self.job.await.unwrap();
    }
}

/// Polls a write once, which puts it into the queue.
#[track_caller]
pub fn queue<T>(write: impl Future<Output = Result<T>> + Send + 'static) -> Queued<T> {
    let mut write: Queued<T> = Box::pin(write);
    assert!(is_waiting(&mut write), "the write completed without waiting in the queue");
    write
}

/// Returns whether a write is still pending. One that has completed must not be polled again.
pub fn is_waiting<T>(write: &mut Queued<T>) -> bool {
    poll(write).is_pending()
}

pub fn poll<T>(write: &mut Queued<T>) -> Poll<Result<T>> {
    write.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}
