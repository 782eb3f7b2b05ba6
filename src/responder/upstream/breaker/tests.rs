use super::*;

/// A breaker with a clock that the test moves.
struct World {
    breaker: Arc<Breaker>,
    now: Moment,
}

const PASSED: Result<(), ProbeFailure> = Ok(());
const FAILED: Result<(), ProbeFailure> =
    Err(ProbeFailure { failure: Failure::Unreachable, asked_wait: None });

impl World {
    fn new() -> World {
        World { breaker: Arc::new(Breaker::new("m")), now: Moment::now() }
    }

    fn after(&mut self, seconds: f64) {
        self.now.instant += Duration::from_secs_f64(seconds);
    }

    fn admit(&self) -> Result<Pass, Failure> {
        self.admit_as(1)
    }

    fn admit_as(&self, user_id: i64) -> Result<Pass, Failure> {
        self.breaker.admit(user_id, self.now.instant)
    }

    /// Reports failures of one user. Returns what the last of them requires.
    fn fail(&self, times: usize) -> Watch {
        let mut watch = Watch::No;
        for _ in 0..times {
            watch = self.end(Failure::ServerError);
        }
        watch
    }

    fn end(&self, failure: Failure) -> Watch {
        self.admit().unwrap().failed(failure, self.now)
    }

    fn succeed(&self) {
        self.admit().unwrap().succeeded(self.now);
    }

    fn probed(&self, result: Result<(), ProbeFailure>) -> Option<u64> {
        self.breaker.probed(result, self.now).map(|wait| wait.as_secs())
    }

    /// Opens the breaker: five failures and a failed probe.
    fn open(&self) {
        assert_eq!(self.fail(5), Watch::After(Duration::ZERO));
        assert_eq!(self.probed(FAILED), Some(1));
    }

    fn state(&self) -> BreakerState {
        self.breaker.health(self.now.instant).state
    }

    fn in_a_row(&self) -> u32 {
        self.breaker.health(self.now.instant).failures_in_a_row
    }
}

fn resting(seconds: u64) -> Failure {
    Failure::CircuitOpen(Duration::from_secs(seconds))
}

#[test]
fn five_failures_in_a_row_ask_for_a_probe_and_its_failure_opens_it() {
    let mut world = World::new();
    assert_eq!(world.fail(4), Watch::No);
    assert_eq!(world.fail(1), Watch::After(Duration::ZERO));
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Closed, 5), "calls are made meanwhile");
    assert_eq!(world.fail(1), Watch::No, "one probe at a time");
    assert_eq!(world.probed(FAILED), Some(1));
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Open, 6));
    assert_eq!(world.admit().unwrap_err(), resting(1));
    assert_eq!(world.breaker.check(world.now.instant), Err(resting(1)));
    world.after(1.0);
    assert_eq!(world.state(), BreakerState::HalfOpen);
    assert_eq!(world.admit().unwrap_err(), resting(0), "the probe is nobody's call");
    assert_eq!(world.probed(PASSED), None);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Closed, 0));
    assert!(world.admit().is_ok());
}

#[test]
fn one_users_failures_open_nothing_while_probes_are_good() {
    let mut world = World::new();
    for _ in 0..100 {
        let _ = world.fail(50);
        world.probed(PASSED);
        assert_eq!(world.state(), BreakerState::Closed);
        world.after(1.0);
    }
}

#[test]
fn probes_are_a_second_apart() {
    let mut world = World::new();
    world.fail(5);
    world.probed(PASSED);
    assert_eq!(world.fail(100), Watch::No);
    world.after(0.9);
    assert_eq!(world.fail(1), Watch::No);
    world.after(0.1);
    assert_eq!(world.fail(1), Watch::After(Duration::ZERO));
}

#[test]
fn failures_of_many_users_count_where_nobody_is_answered_for_long() {
    let mut world = World::new();
    let fail_as =
        |world: &World, user_id| world.admit_as(user_id).unwrap().failed(Failure::Stalled, world.now);
    for user_id in 1..=5 {
        let _ = fail_as(&world, user_id);
    }
    world.probed(PASSED);
    world.after(9.9);
    let _ = fail_as(&world, 1);
    world.probed(PASSED);
    assert_eq!(world.state(), BreakerState::Closed);
    world.after(0.1);
    assert_eq!(fail_as(&world, 1), Watch::After(REST_FOR_MANY));
    assert_eq!(world.admit().unwrap_err(), resting(5));
    world.after(5.0);
    assert_eq!(world.probed(PASSED), None);
    assert_eq!(world.state(), BreakerState::Closed);
}

#[test]
fn failures_of_four_users_never_suffice_nor_those_between_which_somebody_is_answered() {
    let mut world = World::new();
    for second in 0..100 {
        world.after(1.0);
        let _ = world.admit_as(second % 4).unwrap().failed(Failure::Stalled, world.now);
        world.probed(PASSED);
    }
    assert_eq!(world.state(), BreakerState::Closed);
    for second in 0..100 {
        world.after(1.0);
        let _ = world.admit_as(second).unwrap().failed(Failure::Stalled, world.now);
        world.probed(PASSED);
        if second % 9 == 0 {
            world.succeed();
        }
    }
    assert_eq!(world.state(), BreakerState::Closed);
}

#[test]
fn a_rest_that_many_opened_while_a_probe_was_on_its_way_is_not_ended_by_it() {
    let mut world = World::new();
    for user_id in 1..=5 {
        let _ = world.admit_as(user_id).unwrap().failed(Failure::Stalled, world.now);
    }
    world.after(10.0);
    assert_eq!(world.fail(1), Watch::No, "somebody probes already");
    assert_eq!(world.state(), BreakerState::Open);
    world.after(1.0);
    assert_eq!(world.probed(PASSED), Some(4));
    assert_eq!(world.state(), BreakerState::Open);
}

#[test]
fn each_failed_probe_doubles_the_rest_up_to_a_quarter_of_a_minute() {
    let mut world = World::new();
    world.open();
    for (rest, next) in [(1, 2), (2, 4), (4, 8), (8, 15)] {
        assert_eq!(world.admit().unwrap_err(), resting(rest));
        world.after(rest as f64);
        assert_eq!(world.probed(FAILED), Some(next));
    }
    world.after(15.0);
    assert_eq!(world.probed(PASSED), None);
    world.after(1.0);
    world.open();
}

#[test]
fn a_probe_may_be_asked_for_patience_but_not_for_more_than_a_minute() {
    for (asked, rest) in [(0, 1), (30, 30), (3600, 60)] {
        let world = World::new();
        world.fail(5);
        let asked_wait = Some(Duration::from_secs(asked));
        assert_eq!(world.probed(Err(ProbeFailure { failure: Failure::ServerError, asked_wait })), Some(rest));
    }
}

#[test]
fn an_answer_while_the_probe_is_on_its_way_weighs_more() {
    let world = World::new();
    world.fail(5);
    world.succeed();
    assert_eq!(world.probed(FAILED), None);
    assert_eq!(world.state(), BreakerState::Closed);
}

#[test]
fn after_many_failed_probes_one_call_in_each_rest_may_try_and_only_its_success_counts() {
    let mut world = World::new();
    world.open();
    for _ in 1..PROBES_ALONE {
        assert!(world.admit().is_err());
        world.after(15.0);
        world.probed(FAILED);
    }
    assert_eq!(world.breaker.check(world.now.instant), Ok(()));
    let trial = world.admit().unwrap();
    assert_eq!(world.admit().unwrap_err(), resting(15));
    assert_eq!(trial.failed(Failure::ServerError, world.now), Watch::No);
    assert_eq!(world.admit().unwrap_err(), resting(15), "it neither ends nor prolongs the rest");
    world.after(15.0);
    world.probed(FAILED);
    world.succeed();
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Closed, 0));
    assert_eq!(world.probed(FAILED), None, "nobody is failing any more");
    assert_eq!(world.state(), BreakerState::Closed);
}

#[test]
fn what_counts_as_a_failure_and_what_does_not() {
    use Failure::*;
    let counted = [
        Unreachable,
        ConnectionLost,
        FirstByteTimeout,
        Stalled,
        CutShort,
        Unreadable,
        ErrorInAnswer,
        NotAnAnswer,
        KeyRejected,
        ModelUnavailable,
        ServerError,
    ];
    for failure in counted {
        let world = World::new();
        let _ = world.end(failure);
        let health = world.breaker.health(world.now.instant);
        assert_eq!(health.failures_in_a_row, 1, "{failure:?}");
        assert_eq!(health.last_failure, Some((world.now.time, failure.reason())));
    }
    let not_counted = [
        RateLimited,
        TooLarge,
        EmptyAnswer,
        TotalTimeout,
        Busy,
        TooManyOfUser,
        resting(1),
        EndpointMissing("model"),
        MemoryFull,
        ServerStopped,
        DummyFailed,
    ];
    for failure in not_counted {
        let world = World::new();
        world.fail(3);
        let _ = world.end(failure);
        assert_eq!(world.in_a_row(), 3, "{failure:?}");
    }
    let world = World::new();
    world.fail(3);
    drop(world.admit());
    assert_eq!(world.in_a_row(), 3, "cancelled");
}

#[test]
fn a_complete_answer_and_a_rejected_request_reset_the_count() {
    let world = World::new();
    world.fail(4);
    world.succeed();
    assert_eq!(world.breaker.health(world.now.instant).last_success, Some(world.now.time));
    world.fail(4);
    let _ = world.end(Failure::RequestRejected(None));
    assert_eq!(world.fail(4), Watch::No);
    assert_eq!(world.state(), BreakerState::Closed);
}

#[test]
fn calls_from_before_the_rest_neither_end_nor_prolong_it() {
    let mut world = World::new();
    let (good, bad) = (world.admit().unwrap(), world.admit().unwrap());
    world.open();
    world.after(0.5);
    assert_eq!(bad.failed(Failure::CutShort, world.now), Watch::No);
    good.succeeded(world.now);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Open, 5));
    assert_eq!(world.admit().unwrap_err(), Failure::CircuitOpen(Duration::from_millis(500)));
}

#[test]
fn a_model_is_failing_while_its_last_failures_are_recent_or_its_calls_are_paused() {
    let world = World::new();
    let health = |minutes: i64| {
        let now = world.now.time + TimeDelta::minutes(minutes);
        world.breaker.health(world.now.instant).is_failing(now)
    };
    world.fail(4);
    assert!(!health(0), "four failures may be one user's");
    world.fail(1);
    assert_eq!([0, 9, 10, 60].map(health), [true, true, false, false]);
    world.breaker.probed(FAILED, world.now);
    assert_eq!([0, 60].map(health), [true, true], "no calls are made");
}
