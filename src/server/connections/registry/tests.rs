//! Which connections get a place, and which lose one.

use std::task::{Context, Waker};
use std::time::Duration;

use super::*;

fn registry(connections: usize, per_address: usize, unlimited: &str) -> Arc<Registry> {
    let unlimited = [unlimited.parse().unwrap(), Networks::default()];
    let mut registry = Registry::new(Bounds { connections, per_address, unlimited });
    // Put the start into the past, so that later events are not all fresh.
    registry.started = registry.started.checked_sub(Duration::from_secs(10)).unwrap();
    Arc::new(registry)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A connection that was active this number of milliseconds after the start.
fn slot(registry: &Arc<Registry>, peer: &str, stage: Stage, active: u64) -> Slot {
    let slot = registry.admit(ip(peer)).unwrap();
    slot.note(stage, registry.started + Duration::from_millis(active));
    slot
}

fn is_cut(slot: &Slot) -> bool {
    slot.cut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

fn count(registry: &Registry) -> usize {
    registry.lock().count
}

#[test]
fn at_its_bound_an_address_loses_its_idlest_connection_and_no_busy_one() {
    let registry = registry(100, 3, "");
    let busy = slot(&registry, "192.0.2.1", Stage::Busy, 1);
    let idle = slot(&registry, "192.0.2.1", Stage::Idle, 5);
    let older = slot(&registry, "192.0.2.1", Stage::Idle, 3);
    let other = slot(&registry, "192.0.2.2", Stage::Idle, 2);
    let fourth = slot(&registry, "::ffff:192.0.2.1", Stage::Busy, 9);
    assert_eq!([&busy, &idle, &older, &other, &fourth].map(is_cut), [false, false, true, false, false]);
    let fifth = slot(&registry, "192.0.2.1", Stage::Busy, 9);
    assert!(is_cut(&idle));
    assert_eq!(registry.admit(ip("192.0.2.1")).unwrap_err(), Full::Address(3));
    drop((older, idle));
    assert_eq!(count(&registry), 4, "a place is freed once");
    drop(fifth);
    assert!(registry.admit(ip("192.0.2.1")).is_ok());
}

#[test]
fn a_stale_unfinished_connection_goes_before_an_idle_one_and_a_fresh_one_after_it() {
    let registry = registry(100, 3, "");
    let fresh = slot(&registry, "192.0.2.1", Stage::Unfinished, 0);
    let idle = slot(&registry, "192.0.2.1", Stage::Idle, 0);
    let stale = slot(&registry, "192.0.2.1", Stage::Unfinished, 0);
    let now = FRESH_OF_ADDRESS + 100;
    fresh.note(Stage::Unfinished, registry.started + Duration::from_millis(now));
    let order = Order { fresh: FRESH_OF_ADDRESS, now };
    let mut cut = Vec::new();
    for _ in 0..3 {
        assert!(registry.lock().free(Network::of(ip("192.0.2.1")), 1, order));
        cut.push([&stale, &idle, &fresh].map(is_cut));
    }
    assert_eq!(cut, [[true, false, false], [true, true, false], [true, true, true]]);
    assert!(!registry.lock().free(Network::of(ip("192.0.2.1")), 1, order));
}

/// A proxy with many users has the most connections, all of them busy.
#[test]
fn where_the_largest_network_is_all_busy_the_next_one_loses_a_connection() {
    let registry = registry(5, 100, "");
    let busy: Vec<Slot> = (0..3).map(|_| slot(&registry, "192.0.2.1", Stage::Busy, 1)).collect();
    let idle = [slot(&registry, "192.0.2.2", Stage::Idle, 2), slot(&registry, "192.0.2.2", Stage::Idle, 1)];
    let _next = registry.admit(ip("192.0.2.3")).unwrap();
    assert!(!busy.iter().any(is_cut));
    assert_eq!(idle.each_ref().map(is_cut), [false, true]);
}

#[test]
fn ipv6_counts_by_64_and_with_four_times_as_many_by_48() {
    let registry = registry(1000, 2, "");
    let mut busy = Vec::new();
    for network in 0..4 {
        for host in 1..3 {
            busy.push(slot(&registry, &format!("2001:db8:7:{network}::{host}"), Stage::Busy, 1));
        }
        let full = registry.admit(ip(&format!("2001:db8:7:{network}::9"))).unwrap_err();
        assert_eq!(full, Full::Address(2));
    }
    assert_eq!(registry.admit(ip("2001:db8:7:5::1")).unwrap_err(), Full::Address(8));
    busy[3].note(Stage::Idle, registry.started);
    assert!(registry.admit(ip("2001:db8:7:5::1")).is_ok());
    assert!(is_cut(&busy[3]));
    assert!(registry.admit(ip("2001:db8:8:5::1")).is_ok(), "another /48");
    busy.clear();
    assert_eq!(count(&registry), 0);
    assert!(registry.lock().sites.is_empty() && registry.lock().networks.is_empty());
}

#[test]
fn an_address_without_a_bound_has_all_places() {
    let registry = registry(10, 2, "127.0.0.0/8,::1");
    let own: Vec<Slot> = (0..9).map(|_| slot(&registry, "127.0.0.1", Stage::Busy, 1)).collect();
    assert!(!own.iter().any(is_cut));
    let _last = slot(&registry, "::1", Stage::Busy, 1);
    assert_eq!(registry.admit(ip("192.0.2.1")).unwrap_err(), Full::All(10));
}

#[test]
fn at_the_limit_the_largest_network_loses_its_longest_idle_connection() {
    let registry = registry(6, 100, "");
    let mut flood: Vec<Slot> =
        (0..4).map(|number| slot(&registry, "192.0.2.1", Stage::Unfinished, 10 + number)).collect();
    let honest = slot(&registry, "192.0.2.2", Stage::Idle, 1);
    let second = slot(&registry, "192.0.2.3", Stage::Idle, 2);
    let third = slot(&registry, "192.0.2.4", Stage::Busy, 3);
    assert_eq!(flood.iter().map(is_cut).collect::<Vec<_>>(), [true, false, false, false]);
    assert!(![&honest, &second, &third].into_iter().any(is_cut));
    let all = flood.iter().chain([&honest, &second]);
    all.for_each(|slot| slot.note(Stage::Busy, registry.started));
    assert_eq!(registry.admit(ip("192.0.2.5")).unwrap_err(), Full::All(6));
    flood.clear();
    assert_eq!(count(&registry), 3);
}

/// Otherwise each connection of a flood would need a search among all of them.
#[test]
fn a_flood_loses_many_unfinished_connections_at_once() {
    let registry = registry(1280, 10_000, "");
    let flood: Vec<Slot> =
        (0..1280).map(|number| slot(&registry, "192.0.2.1", Stage::Unfinished, number)).collect();
    let _next = registry.admit(ip("192.0.2.2")).unwrap();
    let cut: Vec<bool> = flood.iter().map(is_cut).collect();
    assert_eq!(cut.iter().filter(|cut| **cut).count(), 10);
    assert!(cut[..10].iter().all(|cut| *cut), "the idlest");
}
