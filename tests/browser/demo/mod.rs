//! A realistic database: users who joined over two months, their chats and costs, and what the
//! administrators did. It is written in chronological order, and `verify` finds no fault in it.

mod book;
mod people;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::support::server::{PASSWORD, tollgate};
use crate::support::{On, TestDatabase};

use book::Book;
use people::{ADMINISTRATORS, PEOPLE, REASONS, TALK, TOKEN_NAMES};

pub const SUPERUSER: &str = ADMINISTRATORS[0];
pub const STAFF: &str = ADMINISTRATORS[1];

/// The database, with the ids that the pages need.
pub struct Demo {
    pub database: TestDatabase,
    /// The user who has something of everything. `name` is the same user.
    pub user: i64,
    pub name: &'static str,
    pub inactive: i64,
    pub chat: i64,
    pub failed: i64,
    pub refunded: i64,
    pub hold: i64,
    pub token: i64,
    pub revoked: i64,
    pub bulk: i64,
    pub settled: i64,
    pub model: i64,
}

/// A small pseudo-random generator that returns the same values in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

/// An event of the demo. The numbers are indices into the constants of `people.rs`.
enum Event {
    Join(usize),
    Chat(usize, usize),
    Adjust(usize, usize),
    Token(usize, usize),
}

/// Returns all events but the special cases, in chronological order, each with how many minutes ago
/// it was.
fn events() -> Vec<(i64, Event)> {
    let mut chance = Chance(7);
    let mut events = Vec::new();
    for person in 0..PEOPLE.len() {
        let joined = (PEOPLE.len() - person) as i64 * 1400 + 300;
        events.push((joined, Event::Join(person)));
        let mut since_then =
            |least: i64| joined - least - chance.below((joined - least - 60) as usize) as i64;
        // The first few users write the most.
        let chats = [26, 14, 9, 5, 3, 2, 1, 7][person % 8] / if person < 16 { 1 } else { 2 };
        for number in 0..chats {
            events.push((since_then(20), Event::Chat(person, (person * 7 + number * 3) % TALK.len())));
        }
        if person % 4 == 0 {
            events.push((since_then(60), Event::Adjust(person, person / 4 % REASONS.len())));
        }
        if person % 3 != 2 {
            events.push((since_then(30), Event::Token(person, person % (TOKEN_NAMES.len() * 2))));
        }
    }
    events.sort_by_key(|(minutes_ago, _)| -minutes_ago);
    events
}

impl Demo {
    pub fn write() -> Option<Demo> {
        let database = TestDatabase::create(On::Sqlite)?;
        let migrated = tollgate(&["migrate", "--database-url", database.url()]);
        assert!(migrated.status.success(), "{migrated:?}");
        let mut book = Book::new(tollgate::clock::now(), &hash());
        for name in ADMINISTRATORS {
            book.join(name, 62 * 24 * 60);
        }
        book.promote(SUPERUSER, "is_staff = TRUE, is_superuser = TRUE");
        book.promote(STAFF, "is_staff = TRUE");
        for (minutes_ago, event) in events() {
            match event {
                Event::Join(person) => book.join(PEOPLE[person], minutes_ago),
                Event::Chat(person, talk) => {
                    match talk % 4 {
                        1 => book.chat_by_usage(PEOPLE[person], minutes_ago, TALK[talk]),
                        _ => book.chat(PEOPLE[person], minutes_ago, TALK[talk], "complete"),
                    };
                }
                Event::Adjust(person, reason) => {
                    let (amount, reason) = REASONS[reason];
                    book.adjust(PEOPLE[person], minutes_ago, amount, reason);
                }
                Event::Token(person, name) => {
                    book.token(PEOPLE[person], minutes_ago, TOKEN_NAMES.get(name).copied(), false);
                }
            }
        }
        let demo = finish(&mut book, database);
        let mut connection = SqliteConnection::establish(demo.database.url()).unwrap();
        connection.batch_execute(&book.script()).unwrap();
        Some(demo)
    }
}

/// Adds the special cases that have a page of their own.
fn finish(book: &mut Book, database: TestDatabase) -> Demo {
    let name = PEOPLE[0];
    let bulk = book.bulk(&PEOPLE[16..28], 60, 200, "Thanks for taking part in the survey");
    let chat = book.chat(name, 58, TALK[5], "complete");
    let refunded = book.chat(name, 55, TALK[7], "complete");
    book.refund(refunded, 50, "The summary left out half of the contract");
    book.adjust(name, 48, 500, "Apology for the wrong summary");
    let token = book.token(name, 47, Some("Kitchen tablet"), false);
    let revoked = book.token(name, 46, Some("Old laptop"), true);
    let failed = book.chat(PEOPLE[2], 40, TALK[9], "failed");
    for (person, minutes_ago) in [(5, 39), (6, 38), (8, 37), (9, 37), (11, 36)] {
        book.chat(PEOPLE[person], minutes_ago, TALK[person], "failed");
    }
    let settled = book.chat_by_usage(PEOPLE[5], 35, TALK[5]);
    book.model("llama-3.1-8b", None, false);
    let model = book.model("qwen2.5-32b", Some([5, 10, 30]), false);
    book.model("gemma-2-9b", None, true);
    book.edit_model(model, 34);
    book.chat(PEOPLE[3], 38, TALK[12], "cancelled");
    book.adjust(PEOPLE[4], 33, -book.balance(PEOPLE[4]), "Account closed at her own request, paid out");
    book.deactivate(PEOPLE[4], 32);
    for (person, amount) in [(10, -2_900), (22, -3_500), (34, -3_000)] {
        book.adjust(PEOPLE[person], 30, amount, "Moved to the team's account");
    }
    let hold = book.chat(PEOPLE[1], 2, TALK[16], "pending");
    Demo {
        database,
        user: book.id(name),
        name,
        inactive: book.id(PEOPLE[4]),
        chat,
        failed,
        refunded,
        hold,
        token,
        revoked,
        bulk,
        settled,
        model,
    }
}

impl Book {
    /// Returns the time `minutes_ago`, as SQL.
    fn at(&self, minutes_ago: i64) -> String {
        self.at_and(minutes_ago, 0)
    }

    /// Returns the time `minutes_ago`, and `milliseconds` later, as SQL.
    fn at_and(&self, minutes_ago: i64, milliseconds: i64) -> String {
        // Spread over the minute.
        let seconds = TimeDelta::seconds(minutes_ago * 60 - minutes_ago % 53);
        let later = TimeDelta::milliseconds(milliseconds);
        format!("'{}'", (self.now - seconds + later).format("%Y-%m-%d %H:%M:%S%.6f"))
    }
}

/// Hashes the password of all users at the lowest cost.
fn hash() -> String {
    use sha2::{Digest, Sha256};
    let digest: String = Sha256::digest(PASSWORD).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bcrypt_sha256${}", bcrypt::hash(digest, 4).unwrap())
}
