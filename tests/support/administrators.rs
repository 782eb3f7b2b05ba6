//! Extensions of [`TestApp`] for the panel's tests: administrators, holds, background work.

use std::time::Instant;

use tollgate::db::DbConnection;
use tollgate::domain::TokenDigest;
use tollgate::index::follower::{Followed, Follower, lag};

use super::app::TestApp;
use super::ledger::{self, charged};
use super::panel::Browser;

impl TestApp {
    /// Makes a superuser. Returns a browser that is signed in.
    pub async fn superuser(&self, name: &str) -> Browser<'_> {
        self.administrator(name, "is_superuser = TRUE, is_staff = TRUE").await
    }

    /// Makes a member of the staff, who may only look. Returns a browser that is signed in.
    pub async fn staff(&self, name: &str) -> Browser<'_> {
        self.administrator(name, "is_staff = TRUE").await
    }

    async fn administrator(&self, name: &str, rights: &str) -> Browser<'_> {
        self.register(name).await.assert_status(201);
        self.sql(&format!("UPDATE users SET {rights} WHERE username = '{name}'"));
        let browser = Browser::guest(self);
        browser.sign_in(name).await.assert_status(303);
        browser
    }

    /// Returns the id of a user.
    #[track_caller]
    pub fn id_of(&self, name: &str) -> i64 {
        let id = self.text(&format!("SELECT CAST(id AS TEXT) AS value FROM users WHERE username = '{name}'"));
        id.unwrap().parse().unwrap()
    }

    /// Returns the one whole number of a query's result, in a column named `value`.
    #[track_caller]
    pub fn number(&self, query: &str) -> i64 {
        let text = self.text(&format!("SELECT CAST(q.value AS TEXT) AS value FROM ({query}) q"));
        text.unwrap_or_default().parse().unwrap_or_else(|_| panic!("not a number: {query}"))
    }

    /// Starts a chat that is not answered. Returns its id.
    pub async fn hold(&self, token: &str) -> i64 {
        let digest = TokenDigest::of(token).unwrap();
        charged(self.services.db.write_set(ledger::hold(digest)).await.unwrap()).chat_id
    }

    /// Runs a follower until there is nothing left to do.
    pub async fn catch_up(&self) {
        let mut follower = Follower::default();
        let began = Instant::now();
        let lags = |conn: &mut DbConnection| {
            let lags = Followed::ALL.map(|followed| lag(conn, followed));
            Ok(lags.into_iter().sum::<Result<i64, _>>()?)
        };
        // On PostgreSQL, transactions of other tests may delay it for a moment.
        while follower.round(&self.services.db).await.unwrap() > 0
            || self.services.db.read(lags).await.unwrap() > 0
        {
            assert!(began.elapsed().as_secs() < 30, "the follower does not catch up");
            tokio::task::yield_now().await;
        }
    }

    /// Checks that `verify` finds no errors.
    #[track_caller]
    pub fn assert_sound(&self) {
        let findings = tollgate::metering::verify::verify(&self.services.db).unwrap();
        let wrong: Vec<_> = findings.iter().filter(|finding| !finding.faults.is_empty()).collect();
        assert!(wrong.is_empty(), "verify found {wrong:#?}");
    }
}
