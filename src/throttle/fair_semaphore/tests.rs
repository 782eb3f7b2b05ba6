use std::pin::Pin;

use futures_util::FutureExt;

use super::*;

type Waiter<'a> = Pin<Box<dyn Future<Output = Result<FairPermit<char>, SemaphoreFull>> + 'a>>;

const SHORT: SemaphoreBounds =
    SemaphoreBounds { permits: 1, waiting: 100, waiting_per_key: 10, leave_room: false };

/// A request that is already waiting.
fn waiter(semaphore: &FairSemaphore<char>, key: char) -> Waiter<'_> {
    let mut waiter: Waiter<'_> = Box::pin(semaphore.acquire(key));
    assert!(waiter.as_mut().now_or_never().is_none(), "{key} got a permit at once");
    waiter
}

fn ready(waiter: &mut Waiter<'_>) -> Option<FairPermit<char>> {
    waiter.as_mut().now_or_never().map(|permit| permit.unwrap())
}

#[test]
fn keys_take_turns_however_many_requests_one_of_them_has() {
    let semaphore = FairSemaphore::new(SHORT);
    let first = semaphore.try_acquire('a').unwrap();
    let mut greedy: Vec<_> = (0..3).map(|_| waiter(&semaphore, 'a')).collect();
    let mut modest = waiter(&semaphore, 'b');
    drop(first);
    let permit = ready(&mut greedy[0]).expect("it waited first");
    assert!(ready(&mut modest).is_none());
    drop(permit);
    let permit = ready(&mut modest).expect("its turn comes before the second of the other key");
    assert!(ready(&mut greedy[1]).is_none());
    drop(permit);
    assert!(ready(&mut greedy[1]).is_some());
}

#[test]
fn a_key_has_a_bound_of_its_own_and_all_have_one_together() {
    let semaphore = FairSemaphore::new(SemaphoreBounds { waiting: 3, waiting_per_key: 2, ..SHORT });
    let _held = semaphore.try_acquire('a').unwrap();
    let _waiting = (waiter(&semaphore, 'a'), waiter(&semaphore, 'a'));
    assert_eq!(semaphore.acquire('a').now_or_never().unwrap().unwrap_err(), SemaphoreFull::Key);
    let _another = waiter(&semaphore, 'b');
    assert_eq!(semaphore.acquire('c').now_or_never().unwrap().unwrap_err(), SemaphoreFull::All);
}

#[test]
fn a_request_that_gives_up_leaves_nothing_behind() {
    let semaphore = FairSemaphore::new(SHORT);
    let held = semaphore.try_acquire('a').unwrap();
    let gone = waiter(&semaphore, 'b');
    let mut next = waiter(&semaphore, 'c');
    drop(gone);
    assert_eq!(semaphore.waiting(), 1);
    drop(held);
    // Granted, and dropped before it was taken.
    let unaware = waiter(&semaphore, 'd');
    let permit = ready(&mut next).unwrap();
    drop(permit);
    drop(unaware);
    assert_eq!((semaphore.held(), semaphore.waiting()), (0, 0));
    assert!(semaphore.shared.lock().keys.is_empty());
    assert!(semaphore.try_acquire('e').is_some());
}

#[test]
fn where_room_is_left_newcomers_find_a_free_permit() {
    let semaphore = FairSemaphore::new(SemaphoreBounds { permits: 64, leave_room: true, ..SHORT });
    let mut held = Vec::new();
    for key in ['a', 'b', 'a', 'b'].into_iter().cycle().take(200) {
        held.extend(semaphore.try_acquire(key));
    }
    let of = |key| held.iter().filter(|permit| permit.key == key).count();
    assert_eq!((of('a'), of('b')), (22, 21), "of 64 permits two keys get a third each");
    assert!(semaphore.try_acquire('c').is_some());
    let mut waiting = waiter(&semaphore, 'a');
    drop(held.drain(..).filter(|permit| permit.key == 'b').collect::<Vec<_>>());
    assert!(ready(&mut waiting).is_some());
}

#[test]
fn a_request_that_cannot_have_a_permit_keeps_nobody_waiting() {
    let semaphore = FairSemaphore::new(SemaphoreBounds { permits: 2, leave_room: true, ..SHORT });
    let _held = semaphore.try_acquire('a').unwrap();
    let _waiting = waiter(&semaphore, 'a');
    assert!(semaphore.try_acquire('b').is_some(), "the free permit is not for the first key");
}
