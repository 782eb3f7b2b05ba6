//! The sample data of `tollgate demo`: a service with 90 days of users, chats, failures, refunds
//! and administrators' work.
//!
//! First everything is planned ([`plan`]): what the users do ([`customers`], who speak the
//! [`languages`]) and what the administrators do ([`team`]). Then it is written in the order of
//! time, by the code that a server runs ([`books`], [`deeds`]), so that every balance equals its
//! ledger. The plan is the same for the same seed and settings. Auth tokens and the ids of
//! operations are not: they are random, as everywhere.

mod books;
mod customers;
mod deeds;
mod dice;
mod languages;
mod plan;
mod team;

use std::sync::Arc;

use chrono::NaiveDateTime;

use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::domain::{PlainToken, TokenDigest, Username};
use crate::error::Result;
use crate::responder::DUMMY;
use books::Books;
use plan::{Draft, Plan, Step};

/// The steps that are written in one transaction. Each changes a few rows.
const STEPS_AT_ONCE: usize = 50;
/// The models that the invented service has had, if the settings name fewer than two.
const FORMER_MODELS: [&str; 2] = ["llama-3.1-8b", "qwen2.5-32b"];
/// The most models that are used.
const MOST_MODELS: usize = 3;

/// The settings of the sample data.
#[derive(Clone, Debug)]
pub struct Terms {
    /// With the same seed and settings, the same happens.
    pub seed: u64,
    /// The name of the superuser who can sign in.
    pub superuser: Username,
    /// The hash of that superuser's password.
    pub password_hash: String,
    /// The opening balance of each user, in tokens.
    pub opening_tokens: i64,
    /// What a message costs, in tokens.
    pub message_price: i64,
    /// The most chats of a user that may be pending at once.
    pub concurrent_chats: i64,
    /// The models on offer. Without any, the dummy answers.
    pub models: Vec<String>,
}

/// The sample data that was written.
#[derive(Debug)]
pub struct Sample {
    /// The number of users, with the administrators.
    pub users: usize,
    /// The number of chats.
    pub chats: usize,
    /// The name of the user who has the auth token.
    pub username: &'static str,
    /// An auth token of a user who has tokens to spend.
    pub auth_token: PlainToken,
}

/// What the steps need to know.
struct Story {
    terms: Terms,
    plan: Plan,
    /// The names of the models that are used.
    models: Vec<String>,
    /// The digest and the first characters of the auth token that is printed.
    printed: (TokenDigest, String),
}

impl Story {
    fn new(terms: Terms, printed: &PlainToken, now: NaiveDateTime) -> Story {
        let models = models_of(&terms.models);
        let has_dummy = terms.models.is_empty();
        let mut draft = Draft::new(terms.seed, now, terms.message_price, models.len(), has_dummy);
        customers::add(&mut draft);
        team::add(&mut draft);
        let printed = (printed.digest(), printed.first_characters().to_owned());
        Story { terms, plan: draft.finish(), models, printed }
    }

    /// Returns whether the dummy is the model at a place.
    fn is_dummy(&self, model: usize) -> bool {
        model == 0 && self.terms.models.is_empty()
    }

    /// Returns the price of a message, but at least 1: in these units tokens are given and taken.
    fn unit(&self) -> i64 {
        self.terms.message_price.max(1)
    }
}

/// Returns the names of two or three models, those on offer first.
fn models_of(on_offer: &[String]) -> Vec<String> {
    let mut models: Vec<String> = match on_offer {
        [] => vec![DUMMY.to_owned()],
        some => some.iter().take(MOST_MODELS).cloned().collect(),
    };
    if models.len() < 2 {
        let former = FORMER_MODELS.into_iter().filter(|name| !on_offer.iter().any(|model| model == name));
        models.extend(former.map(str::to_owned));
    }
    models
}

/// Fills an empty database.
///
/// # Errors
/// Fails if the database cannot be written. What was written until then stays.
pub async fn fill(db: &Db, terms: Terms) -> Result<Sample> {
    let auth_token = PlainToken::generate()?;
    let story = Arc::new(Story::new(terms, &auth_token, clock::now()));
    let mut books = Books::default();
    let mut from = 0;
    while from < story.plan.steps.len() {
        // A job may run again, so it begins with the books as they were before it.
        let (of_job, before) = (story.clone(), books.clone());
        let job = move |conn: &mut DbConnection| {
            let mut books = before.clone();
            let steps = of_job.plan.steps.iter().skip(from).take(STEPS_AT_ONCE);
            for (at, step) in steps {
                write(&mut books, conn, &of_job, step, *at)?;
            }
            Ok(books)
        };
        books = db.write_bulk(Scope::none(), job).await?;
        from += STEPS_AT_ONCE;
    }
    let username = story.plan.people.first().map_or("", |person| person.name);
    let (users, chats) = (books.people() + books.team.len(), books.sent.len());
    Ok(Sample { users, chats, username, auth_token })
}

fn write(
    books: &mut Books,
    conn: &mut DbConnection,
    story: &Story,
    step: &Step,
    at: NaiveDateTime,
) -> Result<()> {
    match step {
        Step::Begin => deeds::begin(books, conn, story, at),
        Step::Register(person) => books.register(conn, story, *person, at),
        Step::LogIn(person) => books.log_in(conn, *person, at),
        Step::MakeToken { person, name, days, then } => {
            books.make_token(conn, *person, (name, *days, *then), at)
        }
        Step::RevokeOwnToken(person) => books.revoke_own_token(conn, *person, at),
        Step::Send(number) => books.send(conn, story, *number, at),
        Step::End(number) => books.end(conn, story, *number, at),
        Step::Act(member, deed) => deeds::act(books, conn, *member, deed, at),
        Step::Finish => books.finish(conn, story, at),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::plan::{Habit, Outcome};
    use super::*;

    fn story(seed: u64, models: &[&str]) -> Story {
        let terms = Terms {
            seed,
            superuser: Username::parse("admin").unwrap(),
            password_hash: "!".to_owned(),
            opening_tokens: 4000,
            message_price: 100,
            concurrent_chats: 32,
            models: models.iter().map(|name| (*name).to_owned()).collect(),
        };
        let now = "2026-12-02T10:00:00".parse().unwrap();
        Story::new(terms, &PlainToken::generate().unwrap(), now)
    }

    #[test]
    fn the_same_seed_makes_the_same_plan() {
        let text = |story: Story| format!("{:?}", story.plan);
        assert_eq!(text(story(16, &[])), text(story(16, &[])));
        assert_ne!(text(story(16, &[])), text(story(17, &[])));
    }

    #[test]
    fn everything_happens_in_order_and_nothing_in_the_future() {
        for seed in 0..20 {
            let Plan { people, messages, steps } = story(seed, &["a", "b", "c"]).plan;
            let now: NaiveDateTime = "2026-12-02T10:00:00".parse().unwrap();
            assert!(steps.is_sorted_by_key(|(at, _)| *at) && steps.last().unwrap().0 == now);
            assert!(people.is_sorted_by_key(|person| person.joined));
            let (mut registered, mut sent, mut ended) = (HashSet::new(), HashSet::new(), HashSet::new());
            for (_, step) in &steps {
                match step {
                    Step::Register(person) => assert!(registered.insert(*person)),
                    Step::LogIn(person) => assert!(registered.contains(person)),
                    Step::Send(number) => {
                        assert!(registered.contains(&messages[*number].person) && sent.insert(*number));
                    }
                    Step::End(number) => assert!(sent.contains(number) && ended.insert(*number)),
                    _ => {}
                }
            }
            let open = messages.iter().filter(|message| message.outcome == Outcome::Open).count();
            assert_eq!((registered.len(), sent.len()), (people.len(), messages.len()));
            assert_eq!(ended.len() + open, messages.len(), "each other message has an end");
        }
    }

    #[test]
    fn there_are_a_few_thousand_rows_of_every_kind() {
        let Plan { people, messages, .. } = story(16, &[]).plan;
        assert!((90..200).contains(&people.len()), "{} people", people.len());
        assert!((1_000..4_000).contains(&messages.len()), "{} messages", messages.len());
        for habit in [Habit::Busy, Habit::Regular, Habit::Rare, Habit::Silent, Habit::Broke, Habit::Low] {
            assert!(people.iter().any(|person| person.habit == habit), "{habit:?}");
        }
        let is_failed = |outcome| matches!(outcome, Outcome::Failed(_));
        let failed = messages.iter().filter(|message| is_failed(message.outcome)).count();
        assert!(failed > 20, "{failed} failed");
        for outcome in [Outcome::Answered, Outcome::CutOff, Outcome::LeftEarly, Outcome::Open] {
            assert!(messages.iter().any(|message| message.outcome == outcome), "{outcome:?}");
        }
    }

    #[test]
    fn models_on_offer_come_before_invented_ones() {
        let of = |names: &[&str]| {
            models_of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).join(" ")
        };
        assert_eq!(of(&[]), "dummy llama-3.1-8b qwen2.5-32b");
        assert_eq!(of(&["qwen2.5-32b"]), "qwen2.5-32b llama-3.1-8b");
        assert_eq!(of(&["a", "b"]), "a b");
        assert_eq!(of(&["a", "b", "c", "d"]), "a b c");
    }
}
