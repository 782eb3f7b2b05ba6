//! Batches of charges: one statement on PostgreSQL, four on SQLite, and the same verdicts and
//! ledger as from one charge after the other.

use std::time::Duration;

use rstest::rstest;
use tollgate::clock;
use tollgate::db::{DbConnection, Scope, SetCommand};
use tollgate::domain::{Endpoint, OperationId, TokenDigest};
use tollgate::metering::{Charge, Ended, Ending, Verdict, end_hold};
use tollgate::models::ChatState;

use crate::support::dice::Dice;
use crate::support::ledger::{Account, CONCURRENT_CHATS, Ledger, key};
use crate::support::{On, require};

/// The payers. The first four are users with valid auth tokens.
const PAYERS: [&str; 9] =
    ["rich", "poor", "broke", "exact", "unknown", "revoked", "expired", "inactive", "rich by another token"];

/// One request of a batch.
#[derive(Clone, Copy, Debug)]
struct Ask {
    payer: &'static str,
    price: i64,
    key: Option<&'static str>,
    message: &'static str,
    hold: bool,
    most_holds: i64,
}

fn ask(payer: &'static str) -> Ask {
    Ask { payer, price: 100, key: None, message: "hi", hold: false, most_holds: CONCURRENT_CHATS }
}

/// A database with the payers in it.
struct Scene {
    ledger: Ledger,
    accounts: Vec<Account>,
}

impl Scene {
    async fn create(on: On) -> Option<Scene> {
        let ledger = Ledger::create(on)?;
        let mut accounts = Vec::new();
        for (name, tokens) in [("rich", 100_000), ("poor", 250), ("broke", 0), ("exact", 300)] {
            accounts.push(ledger.user(name, tokens).await);
        }
        accounts.push(Account { id: 0, auth_token: TokenDigest::of("unknown").unwrap() });
        for name in ["revoked", "expired", "inactive"] {
            accounts.push(ledger.user(name, 1000).await);
        }
        accounts.push(Account { auth_token: ledger.auth_token(accounts[0].id).await, ..accounts[0] });
        let of = |place: usize| accounts[place].id;
        ledger.sql(&format!(
            "UPDATE auth_tokens SET revoked_at = '2020-01-01 00:00:00' WHERE user_id = {};
             UPDATE auth_tokens SET expires_at = '2020-01-01 00:00:00' WHERE user_id = {};
             UPDATE users SET is_active = FALSE WHERE id = {}",
            of(5),
            of(6),
            of(7)
        ));
        Some(Scene { ledger, accounts })
    }

    /// Runs the requests as one batch. Returns each verdict as text, which is the same on both
    /// databases.
    async fn run(&self, asks: &[Ask]) -> Vec<String> {
        let charges: Vec<Charge> = asks.iter().map(|ask| self.charge(ask)).collect();
        self.run_charges(&charges, charges.len(), false).await
    }

    /// Runs the charges in batches of `size`, all in one transaction.
    async fn run_charges(&self, charges: &[Charge], size: usize, again: bool) -> Vec<String> {
        let charges = charges.to_vec();
        let job = move |conn: &mut DbConnection| {
            let mut verdicts = Vec::new();
            for batch in charges.chunks(size.max(1)) {
                verdicts.extend(Charge::run(conn, &batch.iter().collect::<Vec<_>>(), again)?);
            }
            Ok(verdicts)
        };
        let verdicts = self.ledger.db.write(Scope::none(), job).await.unwrap();
        verdicts.iter().map(|verdict| self.words(verdict.as_ref().expect("no row is locked"))).collect()
    }

    /// Refunds the oldest holds of each user.
    async fn end_some_holds(&self) {
        for account in self.accounts.iter().filter(|account| account.id > 0) {
            let pending = self.ledger.chats(account.id).into_iter().filter(|c| c.state == ChatState::Pending);
            for chat in pending.take(8).collect::<Vec<_>>() {
                let id = OperationId::generate();
                let job = move |conn: &mut DbConnection| {
                    Ok(end_hold(conn, chat.id, &Ending::LeftEarly, id, clock::now())?)
                };
                let ended = self.ledger.db.write(Scope::user(account.id), job).await.unwrap();
                assert!(matches!(ended, Ended::Now { .. }), "{ended:?}");
            }
        }
    }

    fn charge(&self, ask: &Ask) -> Charge {
        let place = PAYERS.iter().position(|name| *name == ask.payer).expect("a known payer");
        Charge {
            endpoint: Endpoint::Chat,
            auth_token: self.accounts[place].auth_token,
            message: ask.message.to_owned(),
            model: "dummy".to_owned(),
            price: ask.price,
            response: (!ask.hold).then(|| format!("Response to {}", ask.message)),
            hold_for: Duration::from_secs(3600),
            concurrent_chats: ask.most_holds,
            conversation_id: None,
            key: ask.key.map(|name| key(name, ask.message)),
            operation_id: OperationId::generate(),
            now: clock::now(),
        }
    }

    /// Describes a verdict. A chat is named by its place among its user's chats, because ids may
    /// differ between databases.
    fn words(&self, verdict: &Verdict) -> String {
        let place = |user_id: i64, chat_id: i64| {
            let chats = self.ledger.chats(user_id);
            let place = chats.iter().position(|chat| chat.id == chat_id).expect("the chat is the user's");
            (place, chats[place].message.clone())
        };
        match verdict {
            Verdict::Charged(done) => {
                let (place, message) = place(done.user_id, done.chat_id);
                format!("charged for chat {place} ({message}), leaves {}", done.balance)
            }
            Verdict::Unauthorized => "unauthorized".to_owned(),
            Verdict::Insufficient { balance } => format!("insufficient: {balance}"),
            Verdict::TooManyHolds => "too many holds".to_owned(),
            Verdict::Replay { chat, balance } => {
                let (place, message) = place(chat.user_id, chat.id);
                format!("replay of chat {place} ({message}), leaves {balance}")
            }
            Verdict::InFlight => "in flight".to_owned(),
            Verdict::KeyReused => "key reused".to_owned(),
        }
    }

    /// Returns all that is stored, for all users.
    fn stored(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (account, name) in self.accounts.iter().zip(PAYERS).filter(|(account, _)| account.id > 0) {
            lines.push(format!("{name} has {}", self.ledger.balance(account.id)));
            for entry in self.ledger.entries(account.id) {
                lines.push(format!("  {} {} {}", entry.kind.as_str(), entry.amount, entry.balance_after));
            }
            for chat in self.ledger.chats(account.id) {
                let (state, response) = (chat.state.as_str(), chat.response);
                lines.push(format!("  {} {response:?} {state} {}", chat.message, chat.charge));
            }
        }
        lines.push(format!("{} keys", self.ledger.count("idempotency_keys")));
        lines
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn of_one_users_charges_in_a_batch_the_first_that_the_balance_covers_are_paid(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(scene) = Scene::create(on).await else { return };
    let asks = [
        ask("poor"),
        ask("broke"),
        ask("exact"),
        ask("poor"),
        ask("exact"),
        ask("poor"),
        ask("exact"),
        ask("exact"),
    ];
    let expected = [
        "charged for chat 0 (hi), leaves 150",
        "insufficient: 0",
        "charged for chat 0 (hi), leaves 200",
        "charged for chat 1 (hi), leaves 50",
        "charged for chat 1 (hi), leaves 100",
        "insufficient: 50",
        "charged for chat 2 (hi), leaves 0",
        "insufficient: 0",
    ];
    assert_eq!(scene.run(&asks).await, expected);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_unauthorized_charge_does_not_affect_the_others_in_its_batch(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(scene) = Scene::create(on).await else { return };
    let asks = ["unknown", "rich", "revoked", "expired", "rich by another token", "inactive"].map(ask);
    let expected = [
        "unauthorized",
        "charged for chat 0 (hi), leaves 99900",
        "unauthorized",
        "unauthorized",
        "charged for chat 1 (hi), leaves 99800",
        "unauthorized",
    ];
    assert_eq!(scene.run(&asks).await, expected);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn charges_of_different_prices_are_made_in_order(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let priced = |payer, price| Ask { price, ..ask(payer) };
    let asks = [
        priced("poor", 200),
        priced("poor", 60),
        priced("exact", 100),
        priced("poor", 50),
        priced("exact", 200),
        priced("broke", 0),
    ];
    let expected = [
        "charged for chat 0 (hi), leaves 50",
        "insufficient: 50",
        "charged for chat 0 (hi), leaves 200",
        "charged for chat 1 (hi), leaves 0",
        "charged for chat 1 (hi), leaves 0",
        "charged for chat 0 (hi), leaves 0",
    ];
    assert_eq!(scene.run(&asks).await, expected);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_key_counts_once_within_a_batch_and_across_batches(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let keyed = |payer, key, message| Ask { key: Some(key), message, ..ask(payer) };
    let first = [
        keyed("rich", "a", "one"),
        keyed("rich", "a", "one"),
        keyed("rich", "a", "two"),
        keyed("rich by another token", "a", "one"),
        Ask { hold: true, ..keyed("rich", "b", "one") },
        Ask { hold: true, ..keyed("rich", "b", "one") },
        keyed("poor", "a", "two"),
        keyed("broke", "a", "one"),
        keyed("broke", "a", "one"),
        keyed("unknown", "a", "one"),
        keyed("unknown", "a", "one"),
    ];
    let expected = [
        "charged for chat 0 (one), leaves 99900",
        "replay of chat 0 (one), leaves 99900",
        "key reused",
        "replay of chat 0 (one), leaves 99900",
        "charged for chat 1 (one), leaves 99800",
        "in flight",
        "charged for chat 0 (two), leaves 150",
        "insufficient: 0",
        "insufficient: 0",
        "unauthorized",
        "unauthorized",
    ];
    assert_eq!(scene.run(&first).await, expected);
    let second =
        [keyed("rich", "a", "one"), ask("rich"), keyed("rich", "a", "one"), keyed("rich", "b", "two")];
    let expected = [
        "replay of chat 0 (one), leaves 99800",
        "charged for chat 2 (hi), leaves 99700",
        "replay of chat 0 (one), leaves 99700",
        "key reused",
    ];
    assert_eq!(scene.run(&second).await, expected);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn holds_and_answers_may_share_a_batch(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let before = clock::now();
    scene.run(&[ask("rich"), Ask { hold: true, ..ask("rich") }, ask("rich")]).await;
    let chats = scene.ledger.chats(scene.accounts[0].id);
    let states: Vec<_> = chats.iter().map(|chat| (chat.state.as_str(), chat.response.is_some())).collect();
    assert_eq!(states, [("complete", true), ("pending", false), ("complete", true)]);
    let deadline = chats[1].deadline.expect("a hold has a deadline") - before;
    assert!((3600..3660).contains(&deadline.num_seconds()), "{deadline}");
    assert!(chats[1].finished_at.is_none() && chats[0].finished_at.is_some() && chats[0].deadline.is_none());
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_stops_at_the_limit_of_holds_and_goes_on_with_answers(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(scene) = Scene::create(on).await else { return };
    scene.ledger.sql(&format!("UPDATE users SET concurrent_chats = 1 WHERE id = {}", scene.accounts[3].id));
    let held = |payer| Ask { hold: true, most_holds: 2, ..ask(payer) };
    let asks =
        [held("rich"), held("exact"), held("rich"), held("exact"), held("rich"), ask("rich"), held("broke")];
    let expected = [
        "charged for chat 0 (hi), leaves 99900",
        "charged for chat 0 (hi), leaves 200",
        "charged for chat 1 (hi), leaves 99800",
        "too many holds",
        "too many holds",
        "charged for chat 2 (hi), leaves 99700",
        "insufficient: 0",
    ];
    assert_eq!(scene.run(&asks).await, expected);
    scene.ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_stores_times_in_the_form_of_a_single_charge() {
    let Some(scene) = Scene::create(On::Sqlite).await else { return };
    for fraction in [0, 500_000_000, 120_000_000, 123_456_000, 1_000] {
        let now = chrono::DateTime::from_timestamp(1_700_000_000, fraction).unwrap().naive_utc();
        let charge = || Charge { now, ..scene.charge(&ask("rich")) };
        let charges = [charge(), charge(), charge()];
        scene.run_charges(&charges[..2], 2, false).await;
        scene.run_charges(&charges[2..], 1, false).await;
        let stored = "SELECT created_at, finished_at FROM chats ORDER BY id DESC LIMIT 3";
        assert_eq!(
            scene.ledger.count(&format!("(SELECT DISTINCT created_at, finished_at FROM ({stored}))")),
            1
        );
        let entries = "SELECT created_at FROM ledger_entries ORDER BY id DESC LIMIT 3";
        assert_eq!(scene.ledger.count(&format!("(SELECT DISTINCT created_at FROM ({entries}))")), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_batch_has_the_verdicts_of_its_charges_one_after_the_other() {
    // The first database gets each charge separately, the others get them in batches.
    let mut scenes = Vec::new();
    for (on, most) in [(On::Sqlite, 1), (On::Sqlite, 1000), (On::Postgres, 1), (On::Postgres, 1000)] {
        let Some(scene) = Scene::create(on).await else { continue };
        let limited = scene.accounts[3].id;
        scene.ledger.sql(&format!("UPDATE users SET concurrent_chats = 4 WHERE id = {limited}"));
        scenes.push((scene, most));
    }
    let mut dice = Dice::new();
    for round in 0..if require::long() { 300 } else { 30 } {
        let most_holds = i64::try_from(dice.pick(0..8)).unwrap();
        let mut random_asks = |most| -> Vec<Ask> {
            (0..dice.pick(0..most)).map(|_| Ask { most_holds, ..random_ask(&mut dice) }).collect()
        };
        // A COMMIT with an unknown outcome had made the first few of these.
        let (made, further) = (random_asks(40), random_asks(6));
        let mut first = None;
        for (scene, most) in &scenes {
            let charges: Vec<Charge> = made.iter().map(|ask| scene.charge(ask)).collect();
            let mut verdicts = scene.run_charges(&charges, *most, false).await;
            let mut again: Vec<Charge> = further.iter().map(|ask| scene.charge(ask)).collect();
            again.extend(charges);
            verdicts.extend(scene.run_charges(&again, *most, true).await);
            scene.end_some_holds().await;
            let expected = first.get_or_insert_with(|| verdicts.clone());
            assert_eq!(*expected, verdicts, "round {round}, one by one on the left: {made:#?} {further:#?}");
        }
    }
    let stored: Vec<_> = scenes.iter().map(|(scene, _)| scene.stored()).collect();
    stored.windows(2).for_each(|two| assert_eq!(two[0], two[1]));
    scenes.iter().for_each(|(scene, _)| scene.ledger.assert_sound());
}

fn random_ask(dice: &mut Dice) -> Ask {
    let mut one_of = |choices: &[&'static str]| {
        choices[usize::try_from(dice.pick(0..u64::try_from(choices.len()).unwrap())).unwrap()]
    };
    let payer = one_of(&PAYERS);
    let message = one_of(&["one", "two", "three"]);
    let key = one_of(&["", "", "", "a", "b", "c", "d", "e"]);
    let price = one_of(&["100", "100", "100", "40", "7", "0"]).parse().unwrap();
    let hold = one_of(&["yes", "no"]) == "yes";
    Ask { payer, price, key: (!key.is_empty()).then_some(key), message, hold, most_holds: CONCURRENT_CHATS }
}
