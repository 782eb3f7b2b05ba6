use super::*;

/// A breaker with a clock that the test moves.
struct World {
    breaker: Arc<Breaker>,
    now: Moment,
}

impl World {
    fn new() -> World {
        World { breaker: Arc::default(), now: Moment::now() }
    }

    fn after(&mut self, seconds: f64) {
        self.now.instant += Duration::from_secs_f64(seconds);
    }

    fn admit(&self) -> Result<Pass, Failure> {
        self.breaker.admit(self.now.instant)
    }

    fn fail(&self, times: usize) {
        for _ in 0..times {
            self.end(Failure::ServerError);
        }
    }

    fn end(&self, failure: Failure) {
        self.admit().unwrap().failed(failure, self.now);
    }

    fn state(&self) -> BreakerState {
        self.breaker.seen(self.now.instant).state
    }

    fn in_a_row(&self) -> u32 {
        self.breaker.seen(self.now.instant).failures_in_a_row
    }
}

fn resting(seconds: u64) -> Failure {
    Failure::Resting(Duration::from_secs(seconds))
}

#[test]
fn the_beginning_of_a_probes_answer_lets_others_through_and_its_failure_ends_that() {
    let mut world = World::new();
    world.fail(5);
    world.after(5.0);
    let mut probe = world.admit().unwrap();
    assert!(world.admit().is_err());
    probe.began();
    assert_eq!(world.state(), BreakerState::Closed);
    let other = world.admit().unwrap();
    probe.failed(Failure::CutShort, world.now);
    assert_eq!(world.state(), BreakerState::Open);
    other.succeeded(world.now);
    assert_eq!(world.state(), BreakerState::Open, "from before the rest");
}

#[test]
fn five_failures_in_a_row_open_it_for_five_seconds() {
    let mut world = World::new();
    world.fail(4);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Closed, 4));
    world.fail(1);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Open, 5));
    assert_eq!(world.admit().unwrap_err(), resting(5));
    world.after(4.0);
    assert_eq!(world.admit().unwrap_err(), resting(1));
    assert_eq!(world.breaker.check(world.now.instant), Err(resting(1)));
    world.after(1.0);
    assert_eq!(world.state(), BreakerState::HalfOpen);
    assert_eq!(world.breaker.check(world.now.instant), Ok(()));
}

#[test]
fn each_failed_probe_doubles_the_rest_up_to_a_minute() {
    let mut world = World::new();
    world.fail(5);
    for rest in [5, 10, 20, 40, 60, 60] {
        assert_eq!(world.admit().unwrap_err(), resting(rest));
        world.after(rest as f64);
        world.fail(1);
    }
    world.after(60.0);
    world.admit().unwrap().succeeded(world.now);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Closed, 0));
    world.fail(5);
    assert_eq!(world.admit().unwrap_err(), resting(5), "a success makes it begin anew");
}

#[test]
fn there_is_one_probe_at_a_time_and_a_cancelled_one_frees_its_place() {
    let mut world = World::new();
    world.fail(5);
    world.after(5.0);
    let probe = world.admit().unwrap();
    assert_eq!(world.admit().unwrap_err(), resting(1));
    assert_eq!(world.breaker.check(world.now.instant), Err(resting(1)));
    drop(probe);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::HalfOpen, 5));
    let probe = world.admit().unwrap();
    assert!(world.admit().is_err());
    probe.failed(Failure::RateLimited, world.now);
    assert_eq!(world.state(), BreakerState::HalfOpen, "it said nothing of the upstream's health");
    world.admit().unwrap().succeeded(world.now);
    let both = (world.admit(), world.admit());
    assert!(both.0.is_ok() && both.1.is_ok());
}

#[test]
fn what_counts_as_a_failure_and_what_does_not() {
    use Failure::*;
    let counted = [
        Unreachable,
        ConnectionLost,
        NoFirstByte,
        Stalled,
        CutShort,
        Unreadable,
        ErrorInAnswer,
        NoStream,
        KeyRefused,
        Misconfigured,
        ServerError,
    ];
    for failure in counted {
        let world = World::new();
        world.end(failure);
        let seen = world.breaker.seen(world.now.instant);
        assert_eq!(seen.failures_in_a_row, 1, "{failure:?}");
        assert_eq!(seen.last_failure, Some((world.now.time, failure.reason())));
    }
    for failure in [RateLimited, Endless, TooLong, Busy, Resting(FIRST_REST), Stopped, ToldToFail] {
        let world = World::new();
        world.fail(3);
        world.end(failure);
        assert_eq!(world.in_a_row(), 3, "{failure:?}");
    }
    let world = World::new();
    world.fail(3);
    drop(world.admit());
    assert_eq!(world.in_a_row(), 3, "cancelled");
}

#[test]
fn a_good_end_and_a_refused_request_begin_the_count_anew() {
    let world = World::new();
    world.fail(4);
    world.admit().unwrap().succeeded(world.now);
    assert_eq!(world.breaker.seen(world.now.instant).last_success, Some(world.now.time));
    world.fail(4);
    world.end(Failure::RequestRefused);
    world.fail(4);
    assert_eq!(world.state(), BreakerState::Closed);
}

#[test]
fn a_refused_request_proves_that_the_upstream_is_well_again() {
    let mut world = World::new();
    world.fail(5);
    world.after(5.0);
    world.end(Failure::RequestRefused);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Closed, 0));
}

#[test]
fn calls_from_before_the_rest_neither_end_nor_prolong_it() {
    let mut world = World::new();
    let (good, bad) = (world.admit().unwrap(), world.admit().unwrap());
    world.fail(5);
    world.after(2.0);
    bad.failed(Failure::CutShort, world.now);
    good.succeeded(world.now);
    assert_eq!((world.state(), world.in_a_row()), (BreakerState::Open, 5));
    assert_eq!(world.admit().unwrap_err(), resting(3));
}
