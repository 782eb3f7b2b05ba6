use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;

use super::*;

fn throttle() -> (Throttle, Stopwatch) {
    let clock = Stopwatch::standing_still();
    (Throttle::with_clock(true, 6000, &clock), clock)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn wait(result: Result<(), RetryAfter>) -> Result<(), u64> {
    result.map_err(RetryAfter::seconds)
}

fn passed(tries: u32, mut check: impl FnMut() -> Result<(), RetryAfter>) -> u32 {
    (0..tries).map(|_| u32::from(check().is_ok())).sum()
}

/// Makes an attempt that fails, if it is allowed.
fn log_in(throttle: &Throttle, from: &str, account: &str) -> Result<(), RetryAfter> {
    throttle.begin_login(ip(from), account).now_or_never().expect("nobody is being checked").map(drop)
}

fn sign_in(throttle: &Throttle, from: &str) -> Result<(), RetryAfter> {
    sign_in_as(throttle, from, "root")
}

fn sign_in_as(throttle: &Throttle, from: &str, account: &str) -> Result<(), RetryAfter> {
    let attempt = throttle.begin_panel_sign_in(ip(from), account).now_or_never();
    attempt.expect("nobody is being checked").map(drop)
}

#[test]
fn an_address_logs_in_ten_times_and_then_once_in_six_seconds() {
    let (throttle, clock) = throttle();
    let mut account = 0;
    let mut log_in = || {
        account += 1;
        log_in(&throttle, "192.0.2.1", &format!("user{account}"))
    };
    assert_eq!(passed(15, &mut log_in), 10);
    assert_eq!(wait(log_in()), Err(6));
    clock.skip(Duration::from_millis(5_500));
    assert_eq!(wait(log_in()), Err(1), "half a second is rounded up");
    clock.skip(Duration::from_millis(500));
    assert_eq!(passed(5, &mut log_in), 1);
    clock.skip(Duration::from_secs(3600));
    assert_eq!(passed(15, &mut log_in), 10);
}

#[test]
fn one_account_is_tried_five_times_and_then_once_a_minute_from_one_address_only() {
    let (throttle, clock) = throttle();
    let guess = || log_in(&throttle, "192.0.2.1", "ada");
    assert_eq!(passed(8, guess), 5);
    assert_eq!(log_in(&throttle, "192.0.2.1", "bob"), Ok(()));
    assert_eq!(log_in(&throttle, "192.0.2.2", "ada"), Ok(()), "the owner gets in from elsewhere");
    assert_eq!(wait(guess()), Err(60));
    assert_eq!(guess().map_err(RetryAfter::bound), Err("log-ins to one account from one address"));
    clock.skip(Duration::from_secs(59));
    assert_eq!(wait(guess()), Err(1));
    clock.skip(Duration::from_secs(1));
    assert_eq!(passed(3, guess), 1);
}

#[test]
fn registration_and_the_panel_have_allowances_of_their_own() {
    let (throttle, clock) = throttle();
    let register = || throttle.check_registration(ip("192.0.2.1"));
    let sign_in = || sign_in(&throttle, "192.0.2.1");
    assert_eq!((passed(30, register), passed(30, sign_in)), (20, 3));
    assert_eq!((wait(register()), wait(sign_in())), (Err(60), Err(60)));
    clock.skip(Duration::from_secs(120));
    assert_eq!((passed(30, register), passed(30, sign_in)), (2, 2));
    assert_eq!(log_in(&throttle, "192.0.2.1", "ada"), Ok(()));
}

#[test]
fn an_ipv6_network_is_one_origin_and_mapped_ipv4_is_ipv4() {
    let (throttle, _) = throttle();
    assert_eq!(passed(3, || sign_in(&throttle, "2001:db8::1")), 3);
    assert!(sign_in(&throttle, "2001:db8:0:0:ffff:ffff:ffff:ffff").is_err());
    assert!(sign_in(&throttle, "2001:db8:0:1::1").is_ok());
    assert_eq!(passed(3, || sign_in(&throttle, "192.0.2.1")), 3);
    assert!(sign_in(&throttle, "::ffff:192.0.2.1").is_err());
    assert!(sign_in(&throttle, "::ffff:192.0.2.2").is_ok());
}

#[test]
fn a_56_has_four_times_and_a_48_sixteen_times_the_allowance_of_a_64() {
    let (throttle, _) = throttle();
    let tries = |networks: std::ops::Range<u32>, each: u32| -> u32 {
        let of = |n: u32| passed(each, || throttle.check_registration(ip(&format!("2001:db8:1:{n:x}::1"))));
        networks.map(of).sum()
    };
    assert_eq!(tries(0..200, 1), 80, "of one /56");
    assert_eq!(tries(0x100..0x1000, 1), 240, "the rest of the /48");
    assert!(throttle.check_registration(ip("2001:db8:2::1")).is_ok(), "another customer");
}

#[test]
fn a_success_gives_its_allowance_back_30_times_a_minute_for_one_account() {
    let (throttle, clock) = throttle();
    let succeed = || {
        let attempt = throttle.begin_login(ip("192.0.2.1"), "ada").now_or_never();
        attempt.expect("nobody is being checked").map(Attempt::succeeded)
    };
    assert_eq!(passed(100, succeed), 35, "30 come back, and then 5 are left to the account");
    clock.skip(Duration::from_secs(3600));
    let mut number = 0;
    let class = || {
        number += 1;
        let attempt = throttle.begin_login(ip("192.0.2.2"), &format!("pupil {number}")).now_or_never();
        attempt.expect("nobody is being checked").map(Attempt::succeeded)
    };
    assert_eq!(passed(300, class), 300, "a school behind one address");
    let panel = || {
        let attempt = throttle.begin_panel_sign_in(ip("192.0.2.3"), "root").now_or_never();
        attempt.expect("nobody is being checked").map(Attempt::succeeded)
    };
    assert_eq!(passed(10, panel), 10);
}

/// Makes an attempt that succeeds, if it is allowed.
fn succeed(throttle: &Throttle, from: &str, account: &str, is_panel: bool) -> Result<(), RetryAfter> {
    let attempt = match is_panel {
        true => throttle.begin_panel_sign_in(ip(from), account).now_or_never(),
        false => throttle.begin_login(ip(from), account).now_or_never(),
    };
    attempt.expect("nobody is being checked").map(Attempt::succeeded)
}

#[test]
fn the_panel_counts_by_address_and_name() {
    let (throttle, _) = throttle();
    assert_eq!(passed(10, || sign_in_as(&throttle, "192.0.2.1", "ada")), 3);
    assert_eq!(sign_in_as(&throttle, "192.0.2.1", "bob"), Ok(()), "a colleague");
    assert_eq!(sign_in_as(&throttle, "192.0.2.2", "ada"), Ok(()), "from elsewhere");
    let mut number = 0;
    let guess = || {
        number += 1;
        sign_in_as(&throttle, "192.0.2.1", &format!("name {number}"))
    };
    assert_eq!(passed(100, guess), 6, "four of the ten of the address are used");
}

#[test]
fn good_log_ins_between_guesses_buy_no_more_guesses() {
    for (is_panel, is_known, at_one) in
        [(false, false, 5), (true, false, 3), (false, true, 5), (true, true, 3)]
    {
        let (throttle, clock) = throttle();
        let from = "192.0.2.1";
        if is_known {
            throttle.note_sign_in(ip(from), "eve");
        }
        let guess = |account: &str| {
            let _ = succeed(&throttle, from, "eve", is_panel);
            match is_panel {
                true => sign_in_as(&throttle, from, account),
                false => log_in(&throttle, from, account),
            }
        };
        // At one account, and then at others.
        assert_eq!(passed(9, || guess("ada")), at_one, "panel {is_panel}, known {is_known}");
        let mut number = 0;
        let others = || {
            number += 1;
            guess(&format!("name {number}"))
        };
        assert_eq!(passed(12, others), 10 - at_one, "panel {is_panel}, known {is_known}");
        clock.skip(Duration::from_secs(6));
        assert_eq!(passed(5, || guess("somebody else")), 1, "panel {is_panel}, known {is_known}");
    }
}

#[test]
fn a_success_leaves_earlier_failures_of_the_account_counted() {
    for is_panel in [false, true] {
        let (throttle, _) = throttle();
        let guess = || match is_panel {
            true => sign_in(&throttle, "192.0.2.1"),
            false => log_in(&throttle, "192.0.2.1", "root"),
        };
        assert_eq!(passed(2, guess), 2);
        assert_eq!(passed(20, || succeed(&throttle, "192.0.2.1", "root", is_panel)), 20);
        assert_eq!(passed(20, guess), if is_panel { 1 } else { 3 });
        assert!(succeed(&throttle, "192.0.2.1", "root", is_panel).is_err());
    }
}

type Beginning<'a> = Pin<Box<dyn Future<Output = Result<Attempt<'a>, RetryAfter>> + 'a>>;

/// Begins attempts at the same time. Returns those that are allowed, and those that wait.
fn at_once(throttle: &Throttle, number: usize) -> (Vec<Attempt<'_>>, Vec<Beginning<'_>>) {
    let (mut begun, mut waiting) = (Vec::new(), Vec::new());
    for number in 0..number {
        let account = format!("pupil {number}");
        let mut attempt: Beginning<'_> =
            Box::pin(async move { throttle.begin_login(ip("192.0.2.1"), &account).await });
        match attempt.as_mut().now_or_never() {
            Some(attempt) => begun.push(attempt.expect("there is room")),
            None => waiting.push(attempt),
        }
    }
    (begun, waiting)
}

#[tokio::test]
async fn a_class_that_logs_in_at_once_gets_in() {
    let (throttle, _) = throttle();
    let (mut begun, mut waiting) = at_once(&throttle, 30);
    assert_eq!((begun.len(), waiting.len()), (10, 20));
    let mut succeeded = 0;
    while let Some(attempt) = begun.pop() {
        attempt.succeeded();
        succeeded += 1;
        waiting.retain_mut(|attempt| match attempt.as_mut().now_or_never() {
            Some(attempt) => {
                begun.push(attempt.expect("an allowance came back"));
                false
            }
            None => true,
        });
    }
    assert_eq!((succeeded, waiting.len()), (30, 0));
}

#[tokio::test]
async fn waiting_gives_a_guesser_no_more_attempts() {
    let (throttle, _) = throttle();
    let (begun, mut waiting) = at_once(&throttle, 30);
    drop(begun);
    for attempt in &mut waiting {
        let attempt = attempt.as_mut().now_or_never().expect("nobody is being checked any more");
        assert_eq!(attempt.map(drop).map_err(RetryAfter::seconds), Err(6));
    }
    assert_eq!(wait(log_in(&throttle, "192.0.2.1", "another")), Err(6));
}

#[tokio::test]
async fn so_many_of_one_address_wait_and_one_that_gives_up_leaves_its_place() {
    let (throttle, _) = throttle();
    let (_begun, mut waiting) = at_once(&throttle, 42);
    assert_eq!(waiting.len(), 32);
    let full = throttle.begin_login(ip("192.0.2.1"), "one more").now_or_never().expect("it is full");
    assert!(full.is_err());
    waiting.pop();
    let mut one_more: Beginning<'_> = Box::pin(throttle.begin_login(ip("192.0.2.1"), "one more"));
    assert!(one_more.as_mut().now_or_never().is_none());
}

#[test]
fn users_have_reads_and_changes_and_the_bytes_count() {
    let (throttle, clock) = throttle();
    assert_eq!(passed(7000, || throttle.check_unpaid(1, RequestKind::Read)), 6000);
    assert_eq!(passed(1000, || throttle.check_unpaid(1, RequestKind::Change)), 600);
    assert!(throttle.check_unpaid(2, RequestKind::Read).is_ok());
    // 40 pages of 1 MiB are about 5,000 reads.
    for _ in 0..40 {
        throttle.charge_bytes(3, 1024 * 1024);
    }
    let left = passed(7000, || throttle.check_unpaid(3, RequestKind::Read));
    assert!((850..=900).contains(&left), "{left}");
    throttle.charge_bytes(3, 100 * 1024 * 1024);
    clock.skip(Duration::from_secs(60));
    assert!(throttle.check_unpaid(3, RequestKind::Read).is_err(), "the debt is not paid off yet");
    // A user who polls ten times a second never reaches the limit.
    for _ in 0..20_000 {
        clock.skip(Duration::from_millis(100));
        assert!(throttle.check_unpaid(4, RequestKind::Read).is_ok());
    }
}

#[test]
fn a_throttle_that_is_off_lets_everything_through() {
    let throttle = Throttle::new(false, 1);
    assert_eq!(passed(100, || log_in(&throttle, "192.0.2.1", "ada")), 100);
    assert_eq!(passed(100, || throttle.check_registration(ip("192.0.2.1"))), 100);
    assert_eq!(passed(100, || sign_in(&throttle, "192.0.2.1")), 100);
    assert_eq!(passed(100, || throttle.check_unpaid(1, RequestKind::Read)), 100);
    assert_eq!(passed(10_000, || throttle.check_guest(ip("192.0.2.1"))), 10_000);
}

#[test]
fn the_real_clock_throttles_too() {
    let throttle = Throttle::new(true, 1);
    assert_eq!(passed(10, || sign_in(&throttle, "192.0.2.1")), 3);
}

#[test]
fn strangers_keep_no_account_out_that_has_signed_in_from_there() {
    let (throttle, _) = throttle();
    for from in ["192.0.2.1", "2001:db8:1:1::1"] {
        throttle.note_sign_in(ip(from), "ada");
        let mut number = 0;
        let guess = || {
            number += 1;
            // With IPv6, the whole /48 guesses.
            let from = from.replace(":1:1::", &format!(":1:{:x}::", number * 16));
            log_in(&throttle, &from, &format!("name {number}")).and_then(|()| sign_in(&throttle, &from))
        };
        passed(1000, guess);
        assert!(log_in(&throttle, from, "bob").is_err());
        assert_eq!(log_in(&throttle, from, "ada"), Ok(()));
        let panel = throttle.begin_panel_sign_in(ip(from), "ada").now_or_never();
        assert!(panel.expect("nobody is being checked").is_ok());
        assert_eq!(passed(10, || log_in(&throttle, from, "ada")), 3, "guesses at the account itself count");
    }
}

#[test]
fn an_account_is_known_only_where_it_has_signed_in() {
    let (throttle, _) = throttle();
    throttle.note_sign_in(ip("192.0.2.1"), "ada");
    assert!(throttle.has_signed_in(ip("192.0.2.1"), "ada"));
    assert!(!throttle.has_signed_in(ip("192.0.2.2"), "ada"));
    assert!(!throttle.has_signed_in(ip("192.0.2.1"), "eve"));
}

#[test]
fn address_and_account_cannot_be_shifted_into_each_other() {
    let key = |from: &str, account: &str| account_key(Some(ip(from)), account);
    assert_ne!(key("192.0.2.1", "1ada"), key("192.0.2.11", "ada"));
    assert_eq!(key("192.0.2.1", "ada"), key("192.0.2.1", "ada"));
    assert_ne!(account_key(None, "ada"), key("192.0.2.1", "ada"));
}
