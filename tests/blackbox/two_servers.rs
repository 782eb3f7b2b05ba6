//! Several servers: refused on one SQLite file, supported on one PostgreSQL database. Also, starts
//! that are killed.

use std::thread;
use std::time::{Duration, Instant};

use rstest::rstest;
use serde_json::json;

use super::load;
use crate::support::dice::Dice;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::{On, TestDatabase};

#[test]
fn a_second_server_on_an_sqlite_file_is_refused_and_the_first_goes_on() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut first = Server::start(&database, &[]);
    let token = first.user("ada");
    let mut second = Launch::on(&database).spawn();
    assert_eq!(second.wait(Duration::from_secs(20)).code(), Some(1));
    let log = second.log();
    assert!(log.contains("another `tollgate serve` already serves"), "{log}");
    assert!(log.contains(database.url()), "the message should name the file: {log}");
    assert_eq!(first.chat(&token, "Hello").status, 201);

    // The lock ends with its process, even if that is killed.
    first.kill9();
    let third = Server::start(&database, &[]);
    assert_eq!(third.tokens(&token), 3900);
}

#[test]
fn servers_that_start_at_once_on_an_empty_postgres_database_all_serve() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let mut servers: Vec<Server> = (0..4).map(|_| Launch::on(&database).spawn()).collect();
    servers.iter_mut().for_each(Server::wait_until_ready);
    let migrated = servers.iter().filter(|server| server.log().contains("migrated the database")).count();
    assert_eq!(migrated, 1, "each migration is applied by one of them");
    for (number, server) in servers.iter().enumerate() {
        let token = server.user(&format!("user{number}"));
        for other in &servers {
            assert_eq!(other.chat(&token, "Hello").status, 201);
        }
        assert_eq!(server.tokens(&token), 4000 - 100 * 4);
    }
    drop(servers);
    assert_verified(&database);
}

#[test]
fn an_auth_token_that_one_node_revokes_is_refused_by_the_other_at_once() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let (one, other) = (Server::start(&database, &[]), Server::start(&database, &[]));
    one.register("ada");
    for everywhere in [false, true] {
        let token = one.login("ada");
        // The other node has seen it, so a cache would have it.
        assert_eq!(other.chat(&token, "Hello").status, 201);
        let answer =
            one.client().post("/logout/", Some(&token), &json!({ "everywhere": everywhere })).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(other.chat(&token, "Hello").status, 401);
        assert_eq!(other.client().get("/tokens/", &token).unwrap().status, 401);
    }
    let token = one.login("ada");
    let named = one.client().post("/auth-tokens/", Some(&token), &json!({"name": "script"})).unwrap().json();
    let script = named["token"].as_str().unwrap();
    assert_eq!(other.tokens(script), 3800);
    let bearer = format!("Bearer {token}");
    let path = format!("/auth-tokens/{}/", named["id"]);
    let gone = one.client().send("DELETE", &path, &[("Authorization", &bearer)], b"").unwrap();
    assert_eq!(gone.status, 204);
    assert_eq!(other.chat(script, "Hello").status, 401);
}

#[test]
fn two_nodes_never_oversell_a_balance_or_charge_a_key_twice() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let nodes = [Server::start(&database, &[]), Server::start(&database, &[])];
    let token = nodes[0].user("ada");
    // Twice as many chats as the balance pays for, each key on both nodes at once.
    let threads: Vec<_> = (0..8)
        .map(|number: usize| {
            let (mut client, token) = (nodes[number % 2].client(), token.clone());
            let pair = number / 2;
            thread::spawn(move || -> Vec<(u16, Option<i64>)> {
                let chat = |chat: usize| {
                    let name = format!("pair{pair}-chat{chat}");
                    let answer = load::send(&mut client, &token, &name, &name).unwrap();
                    (answer.status, (answer.status == 201).then(|| load::chat_id(&answer)))
                };
                (0..20).map(chat).collect()
            })
        })
        .collect();
    let outcomes: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert!(outcomes.iter().all(|(status, _)| [201, 400].contains(status)), "{outcomes:?}");
    let mut chats: Vec<i64> = outcomes.iter().filter_map(|(_, chat)| *chat).collect();
    chats.sort_unstable();
    chats.dedup();
    assert_eq!(chats.len(), 40, "4000 tokens buy 40 chats");
    for node in &nodes {
        assert_eq!(node.tokens(&token), 0);
        assert_eq!(node.history(&token).len(), 40);
    }
    drop(nodes);
    assert_verified(&database);
}

#[rstest]
fn a_start_that_is_killed_at_any_moment_leaves_nothing_half_done(#[values(On::Sqlite, On::Postgres)] on: On) {
    let mut dice = Dice::new();
    let Some(first) = TestDatabase::create(on) else { return };
    let begun = Instant::now();
    drop(Server::start(&first, &[]));
    let whole = u64::try_from(begun.elapsed().as_micros()).unwrap();
    for _ in 0..8 {
        let Some(database) = TestDatabase::create(on) else { return };
        for _ in 0..4 {
            let mut server = Launch::on(&database).spawn();
            // A random moment during the start. The moment is the point, so there is nothing to
            // wait for.
            thread::sleep(Duration::from_micros(dice.pick(0..whole)));
            server.kill9();
        }
        let server = Server::start(&database, &[]);
        let token = server.user("ada");
        assert_eq!(server.chat(&token, "Hello").status, 201);
        drop(server);
        assert_verified(&database);
    }
}
