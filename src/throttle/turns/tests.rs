use std::pin::Pin;

use futures_util::FutureExt;

use super::*;

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Turn, NoTurn>> + 'a>>;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A request that is already waiting.
fn waiting<'a>(turns: &'a Turns, lane: Lane, from: &str) -> Waiting<'a> {
    let mut waiting: Waiting<'a> = Box::pin(turns.acquire(lane, ip(from)));
    assert!(waiting.as_mut().now_or_never().is_none(), "{from} has got a permit or was refused");
    waiting
}

fn refused(turns: &Turns, lane: Lane, from: &str) -> bool {
    let mut request: Waiting<'_> = Box::pin(turns.acquire(lane, ip(from)));
    matches!(request.as_mut().now_or_never(), Some(Err(NoTurn)))
}

/// Returns the order in which requests get the only permit, by their names.
fn order(turns: &Turns, held: Turn, mut requests: Vec<(&'static str, Waiting<'_>)>) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut held = Some(held);
    while !requests.is_empty() {
        drop(held.take());
        let ready = requests.iter_mut().position(|(_, request)| match request.as_mut().now_or_never() {
            Some(turn) => {
                held = Some(turn.unwrap());
                true
            }
            None => false,
        });
        order.push(requests.remove(ready.expect("somebody gets the permit")).0);
        assert_eq!(turns.held(), 1);
    }
    order
}

async fn taken(turns: &Turns) -> Turn {
    turns.acquire(Lane::Open, ip("203.0.113.1")).await.unwrap()
}

#[tokio::test]
async fn a_network_with_many_addresses_takes_turns_with_one_that_has_few() {
    for (flood, honest) in [
        ("2001:db8:1:{}::1", "2001:db8:2:1::1"),
        ("2001:db8:1:{}::1", "198.51.100.7"),
        ("2001:db8:{}:1::1", "2001:db9::1"),
    ] {
        let turns = Turns::new(1);
        let held = taken(&turns).await;
        let mut requests = Vec::new();
        for number in 0..20 {
            let address = flood.replace("{}", &format!("{number:x}"));
            requests.push(("flood", waiting(&turns, Lane::Open, &address)));
        }
        for _ in 0..5 {
            requests.push(("honest", waiting(&turns, Lane::Open, honest)));
        }
        let order = order(&turns, held, requests);
        let last = order.iter().rposition(|name| *name == "honest").unwrap();
        assert!(last <= 10, "{order:?}");
    }
}

#[tokio::test]
async fn lanes_get_equal_shares_whatever_waits_in_the_others() {
    let turns = Turns::new(1);
    let held = taken(&turns).await;
    let mut requests = Vec::new();
    for number in 0..100 {
        requests.push(("open", waiting(&turns, Lane::Open, &format!("192.0.{number}.1"))));
    }
    requests.push(("panel", waiting(&turns, Lane::Panel, "192.0.2.1")));
    requests.push(("known", waiting(&turns, Lane::Known, "192.0.2.1")));
    let order = order(&turns, held, requests);
    assert!(order[..3].contains(&"panel") && order[..3].contains(&"known"), "{:?}", &order[..5]);
}

#[tokio::test]
async fn a_stream_of_new_addresses_does_not_overtake_those_who_wait() {
    let turns = Turns::new(1);
    let mut held = Some(taken(&turns).await);
    let mut class: Vec<_> = (0..10).map(|_| waiting(&turns, Lane::Open, "198.51.100.7")).collect();
    let mut rounds = 0;
    // Each of three networks asks again as soon as it has been served.
    let mut flood: Vec<_> =
        ["10.0.0.1", "11.0.0.1", "12.0.0.1"].map(|from| (from, waiting(&turns, Lane::Open, from))).into();
    while !class.is_empty() {
        rounds += 1;
        assert!(rounds <= 45, "the class starves");
        drop(held.take());
        if let Some(turn) = class[0].as_mut().now_or_never() {
            held = Some(turn.unwrap());
            drop(class.remove(0));
            continue;
        }
        for (from, request) in &mut flood {
            if let Some(turn) = request.as_mut().now_or_never() {
                held = Some(turn.unwrap());
                *request = waiting(&turns, Lane::Open, from);
                break;
            }
        }
    }
}

#[tokio::test]
async fn one_customer_has_32_places_and_a_lane_256() {
    let turns = Turns::new(1);
    let _held = taken(&turns).await;
    let of_one: Vec<_> = (0..32).map(|_| waiting(&turns, Lane::Open, "192.0.2.1")).collect();
    assert!(refused(&turns, Lane::Open, "192.0.2.1"));
    let of_56: Vec<_> =
        (0..32).map(|n| waiting(&turns, Lane::Open, &format!("2001:db8:1:{n:x}::1"))).collect();
    assert!(refused(&turns, Lane::Open, "2001:db8:1:ff::1"), "a /56 is one customer");
    let of_48: Vec<_> =
        (0..32).map(|n| waiting(&turns, Lane::Open, &format!("2001:db8:2:{n:x}00::1"))).collect();
    assert!(refused(&turns, Lane::Open, "2001:db8:2:ff00::1"), "a /48 is one, too");
    let rest: Vec<_> = (0..160).map(|n| waiting(&turns, Lane::Open, &format!("{}.0.0.1", n + 1))).collect();
    assert_eq!(turns.waiting(), 256);
    let _another_lane = waiting(&turns, Lane::Known, "192.0.2.1");
    drop((of_one, of_56, of_48, rest));
    assert_eq!(turns.waiting(), 1);
}

#[tokio::test]
async fn where_all_places_are_taken_the_largest_network_gives_way() {
    let turns = Turns::new(1);
    let _held = taken(&turns).await;
    let mut flood: Vec<_> =
        (0..256).map(|n| waiting(&turns, Lane::Open, &format!("2001:{:x}:{:x}:1::1", n % 8, n))).collect();
    let _honest = waiting(&turns, Lane::Open, "198.51.100.7");
    assert_eq!(turns.waiting(), 256);
    let displaced = flood.iter_mut().filter_map(|request| request.as_mut().now_or_never()).count();
    assert_eq!(displaced, 1);
}

#[tokio::test]
async fn nobody_gives_way_to_a_request_that_is_refused_itself() {
    let turns = Turns::new(1);
    let _held = taken(&turns).await;
    let _of_one: Vec<_> = (0..32).map(|_| waiting(&turns, Lane::Open, "192.0.2.1")).collect();
    let mut largest: Vec<_> = (0..128).map(|n| waiting(&turns, Lane::Open, &format!("10.0.{n}.1"))).collect();
    let mut rest: Vec<_> =
        (0..96).map(|n| waiting(&turns, Lane::Open, &format!("{}.0.0.1", n + 11))).collect();
    assert!(refused(&turns, Lane::Open, "192.0.2.1"), "the address has its 32");
    let mut others = largest.iter_mut().chain(&mut rest);
    assert!(others.all(|request| request.as_mut().now_or_never().is_none()));
    assert_eq!(turns.waiting(), 256);
}

#[tokio::test]
async fn where_the_lane_and_a_network_are_full_one_request_of_that_network_gives_way() {
    let turns = Turns::new(1);
    let _held = taken(&turns).await;
    let mut own: Vec<_> =
        (0..128).map(|n| waiting(&turns, Lane::Open, &format!("10.0.{}.1", n / 32))).collect();
    let mut rest: Vec<_> =
        (0..128).map(|n| waiting(&turns, Lane::Open, &format!("{}.0.0.1", n + 11))).collect();
    let _newcomer = waiting(&turns, Lane::Open, "10.0.9.1");
    let displaced = |requests: &mut Vec<Waiting<'_>>| {
        requests.iter_mut().filter_map(|request| request.as_mut().now_or_never()).count()
    };
    assert_eq!((displaced(&mut own), displaced(&mut rest)), (1, 0));
    assert_eq!(turns.waiting(), 256);
}

#[tokio::test]
async fn a_request_that_gives_up_leaves_nothing_behind() {
    let turns = Turns::new(1);
    let held = taken(&turns).await;
    let gone = waiting(&turns, Lane::Open, "192.0.2.1");
    let mut next = waiting(&turns, Lane::Open, "192.0.2.2");
    drop(gone);
    assert_eq!(turns.waiting(), 1);
    // Granted, and dropped before it was taken.
    let unaware = waiting(&turns, Lane::Open, "192.0.2.3");
    drop(held);
    let turn = next.as_mut().now_or_never().unwrap().unwrap();
    drop(turn);
    drop(unaware);
    assert_eq!((turns.held(), turns.waiting()), (0, 0));
    assert!(turns.acquire(Lane::Open, ip("192.0.2.4")).now_or_never().is_some());
}
