//! `tollgate adjust`: tokens given and taken, through the ledger.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use serde_json::{Value, json};

use super::{run, run_with};
use crate::support::ledger::raw;
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase};

fn ledger(server: &Server, token: &str) -> Value {
    server.client().get("/ledger/", token).unwrap().json()["entries"].clone()
}

#[rstest]
fn an_adjustment_changes_the_balance_of_a_running_server_and_is_on_the_statement(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("Ada");
    let given = run(&database, &["adjust", "ada", "500", "--note", " March top-up "]);
    given.assert_good();
    assert_eq!(given.out, "Ada: +500 tokens, balance 4500\n");
    assert_eq!(server.tokens(&token), 4500);
    let taken = run(&database, &["adjust", "ada", "-4450", "--note", "a mistake, taken back"]);
    taken.assert_good();
    assert_eq!(taken.out, "Ada: -4450 tokens, balance 50\n");
    assert_eq!(server.tokens(&token), 50);
    assert_eq!(server.chat(&token, "Hello").error(), "Insufficient tokens");

    let entries = ledger(&server, &token);
    let seen = |entry: &Value| {
        json!([entry["kind"], entry["amount"], entry["balance_after"], entry["by"], entry["note"]])
    };
    assert_eq!(seen(&entries[0]), json!(["adjustment", -4450, 50, "operator", "a mistake, taken back"]));
    assert_eq!(seen(&entries[1]), json!(["adjustment", 500, 4500, "operator", "March top-up"]));
    assert_eq!(entries.as_array().unwrap().len(), 3, "{entries}");
    run(&database, &["adjust", "Ada", "50", "--note", "enough for one"]).assert_good();
    assert_eq!(server.chat(&token, "Hello").status, 201);
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_refused_adjustment_writes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    let adjust = |user: &str, amount: &str| run(&database, &["adjust", user, amount, "--note", "a reason"]);
    let below = adjust("ada", "-4001");
    below.assert_refused(1, "ada has 4000 tokens");
    assert!(below.err.contains("nothing was changed"), "{below:?}");
    adjust("nobody", "1").assert_refused(1, "there is no user \"nobody\"");
    adjust("ada", "0").assert_refused(1, "the amount is 0");
    run(&database, &["adjust", "ada", "1", "--note", "  "]).assert_refused(1, "--note");
    run(&database, &["adjust", "ada", "1", "--note", &"x".repeat(501)]).assert_refused(1, "--note");
    for amount in ["much", "1.5", "", "1000000000001", "-1000000000001", "99999999999999999999"] {
        adjust("ada", amount).assert_refused(2, "<AMOUNT>");
    }
    run(&database, &["adjust", "ada", "1"]).assert_refused(2, "--note");
    run(&database, &["adjust", "ada"]).assert_refused(2, "<AMOUNT>");
    run(&database, &["adjust"]).assert_refused(2, "<USER>");
    assert_eq!(server.tokens(&token), 4000);
    assert_eq!(ledger(&server, &token).as_array().unwrap().len(), 1);
    adjust("ada", "-4000").assert_good();
    assert_eq!(server.tokens(&token), 0);
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn concurrent_adjustments_and_chats_lose_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    std::thread::scope(|scope| {
        let chats = scope.spawn(|| (0..20).all(|_| server.chat(&token, "Hello").status == 201));
        for _ in 0..5 {
            run(&database, &["adjust", "ada", "7", "--note", "a little"]).assert_good();
        }
        assert!(chats.join().unwrap());
    });
    assert_eq!(server.tokens(&token), 4000 - 20 * 100 + 5 * 7);
    drop(server);
    assert_verified(&database);
}

#[rstest]
fn a_name_like_an_option_stands_behind_two_hyphens(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let token = server.user("ada");
    // No new name begins with a hyphen, but imported ones may.
    let rename = "UPDATE users SET username = '-h', username_canonical = '-h'";
    raw(database.on(), database.url()).batch_execute(rename).unwrap();
    let given = run(&database, &["adjust", "--note", "a gift", "--", "-h", "500"]);
    given.assert_good();
    assert_eq!(given.out, "-h: +500 tokens, balance 4500\n");
    run(&database, &["adjust", "--note", "a gift", "--", "-h", "-500"]).assert_good();
    assert_eq!(server.tokens(&token), 4000);
    let help = run(&database, &["adjust", "-h", "500"]);
    help.assert_good();
    assert!(help.out.contains("-- -h 500"), "{help:?}");
    run(&database, &["adjust", "-x", "500", "--note", "a gift"]).assert_refused(2, "use '-- -x'");
    let wrong = run(&database, &["adjust", "--note", "a gift", "--", "--dry-run", "500"]);
    wrong.assert_refused(1, "Options stand before --");
    for name in ["--username=-h", "--username"] {
        let rest: &[&str] = if name.ends_with('h') { &[] } else { &["-h"] };
        let words = [&["changepassword", "--password-stdin", name], rest].concat();
        run_with(&database, &words, "other horse battery\n").assert_good();
    }
    let refused = run_with(&database, &["createsuperuser", "--username", "-x"], "");
    refused.assert_refused(1, "something else than -");
}
