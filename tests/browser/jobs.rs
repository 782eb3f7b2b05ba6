//! The daily jobs of an administrator, from Home to the result: each takes at most three pages.

use serde_json::Value;
use thirtyfour::prelude::*;

use super::demo::{Demo, SUPERUSER};
use super::visitor::{Screen, Visitor, patiently};
use crate::support::figures;
use crate::support::server::{PASSWORD, Server, assert_verified};

/// The most pages that a job may load. Home, where it begins, is not counted.
const MOST_PAGES: u32 = 3;

/// A job that is being done, and what it has cost so far.
struct Job<'a> {
    visitor: &'a Visitor,
    name: &'static str,
    /// Clicks, and keys other than those that type a text.
    actions: u32,
    fields: u32,
    pages: u32,
    /// Identifies the document that the browser shows.
    document: Value,
}

impl<'a> Job<'a> {
    async fn begin(visitor: &'a Visitor, name: &'static str) -> Job<'a> {
        visitor.open("/admin/").await;
        visitor.sees("Recent actions").await;
        let document = document(visitor).await;
        Job { visitor, name, actions: 0, fields: 0, pages: 0, document }
    }

    async fn follow(&mut self, label: &str) {
        self.visitor.follow(label).await;
        self.actions += 1;
    }

    async fn follow_tab(&mut self, label: &str) {
        self.visitor.follow_tab(label).await;
        self.actions += 1;
    }

    async fn unfold(&mut self, label: &str) {
        self.visitor.unfold(label).await;
        self.actions += 1;
    }

    /// Follows a link of the menu.
    async fn go_to_place(&mut self, label: &str) {
        self.visitor.go_to_place(label).await;
        self.actions += 1;
    }

    async fn tick(&mut self, label: &str) {
        self.visitor.tick(label).await;
        self.actions += 1;
    }

    async fn choose(&mut self, name: &str, value: &str) {
        self.visitor
            .element(&format!("select[name='{name}'] option[value='{value}']"))
            .await
            .click()
            .await
            .unwrap();
        self.actions += 1;
    }

    async fn press(&mut self, label: &str) {
        self.visitor.press(label).await;
        self.actions += 1;
    }

    async fn key(&mut self, key: impl Into<TypingData>) {
        self.visitor.type_keys(key).await;
        self.actions += 1;
    }

    /// Opens the search, and types words into it.
    async fn search(&mut self, words: &str) {
        self.key("/").await;
        self.visitor.element(".palette[open]").await;
        self.visitor.type_keys(words).await;
        self.fields += 1;
    }

    /// Opens the first result of the search, once it shows this.
    async fn open_first(&mut self, what: &str) {
        let first = "return document.querySelector('.palette [role=option]')?.textContent ?? ''";
        let found = patiently(async || {
            let first = self.visitor.run(first, vec![]).await;
            first.as_str().is_some_and(|text| text.contains(what)).then_some(())
        });
        assert!(found.await.is_some(), "the first result is not {what:?}:\n{}", self.visitor.text().await);
        self.key(Key::Down + "").await;
        self.key(Key::Enter + "").await;
    }

    async fn fill(&mut self, fields: &[(&str, &str)]) {
        self.visitor.fill(fields).await;
        self.fields += u32::try_from(fields.len()).unwrap();
    }

    /// Waits until the page shows this, and counts the page if it is another one than before.
    async fn sees(&mut self, what: &str) {
        self.visitor.sees(what).await;
        let document = document(self.visitor).await;
        if document != self.document {
            self.pages += 1;
            self.document = document;
        }
    }

    fn done(self) {
        let Job { name, actions, fields, pages, .. } = self;
        figures::report(name, &format!("clicks and keys {actions}, fields {fields}, pages {pages}"));
        assert!(pages <= MOST_PAGES, "{name} takes {pages} pages");
    }
}

async fn document(visitor: &Visitor) -> Value {
    visitor.run("return performance.timeOrigin", vec![]).await
}

#[tokio::test]
async fn each_daily_job_takes_at_most_three_pages() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    visitor.open_until("/admin/users/", "60 users").await;
    find_a_user(&visitor, &demo).await;
    find_out_why_a_chat_failed(&visitor, &demo).await;
    find_out_why_a_user_cannot_chat(&visitor).await;
    refund_a_chat(&visitor).await;
    adjust_many(&visitor).await;
    users_without_tokens(&visitor).await;
    revoke_all_auth_tokens(&visitor).await;
    find_a_message(&visitor).await;
    who_changed_a_balance(&visitor).await;
    deactivate(&visitor).await;
    statement(&visitor, &demo).await;
    own_settings(&visitor).await;
    assert_eq!(visitor.console().await, Vec::<String>::new());
    drop(server);
    assert_verified(&demo.database);
}

async fn find_a_user(visitor: &Visitor, demo: &Demo) {
    let mut job = Job::begin(visitor, "find a user by a part of the name").await;
    job.search("elia.h").await;
    job.open_first(demo.name).await;
    job.sees("Can chat: yes").await;
    assert!(visitor.path().await.starts_with(&format!("/admin/users/{}/", demo.user)));
    job.done();
}

async fn find_out_why_a_chat_failed(visitor: &Visitor, demo: &Demo) {
    let mut job = Job::begin(visitor, "find out why a chat failed").await;
    job.go_to_place("Chats").await;
    job.sees("Outcome").await;
    job.follow_tab("Failed").await;
    job.sees("State: Failed").await;
    job.follow(&format!("#{}", demo.failed)).await;
    job.sees("Why").await;
    job.done();
}

async fn find_out_why_a_user_cannot_chat(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "find out why a user's messages are refused").await;
    job.search("hannah.weiss").await;
    job.open_first("inactive").await;
    job.sees("Can chat: no").await;
    job.done();
}

async fn refund_a_chat(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "refund a chat").await;
    job.search("difference median").await;
    job.open_first("What is the difference").await;
    job.sees("Dialect").await;
    job.follow("Refund").await;
    job.sees("Reason").await;
    job.fill(&[("reason", "The answer was wrong")]).await;
    job.press("Refund").await;
    job.sees("Refunded").await;
    job.done();
}

async fn adjust_many(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "grant 500 tokens to all who match").await;
    job.go_to_place("Users").await;
    job.sees("Last login").await;
    job.tick("all that match").await;
    job.fill(&[("amount", "500")]).await;
    job.press("Go").await;
    job.sees("60 users, +500 tokens each: +30,000 tokens in total.").await;
    job.fill(&[("reason", "A present for everybody")]).await;
    job.press("Adjust all").await;
    job.sees("All 60 done.").await;
    job.done();
}

/// "Balance 0 and chatted this week" is saved as a view once, which is no part of the job.
async fn users_without_tokens(visitor: &Visitor) {
    visitor.open("/admin/users/?balance=zero&chatted=7days").await;
    visitor.unfold("Views").await;
    visitor.fill(&[("name", "Broke this week")]).await;
    visitor.press("Save view").await;
    visitor.sees("Broke this week").await;
    let mut job = Job::begin(visitor, "list who is at 0 and chatted this week").await;
    job.follow("Broke this week").await;
    job.sees("Balance: Zero").await;
    job.sees("Last chat: In the past 7 days").await;
    job.done();
}

async fn revoke_all_auth_tokens(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "revoke all auth tokens of a user").await;
    job.search("log out noah").await;
    job.open_first("Log out noah.bergstrom").await;
    job.sees("Ends all auth tokens").await;
    job.press("Log out everywhere").await;
    job.sees("Can chat").await;
    job.done();
}

async fn find_a_message(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "find a message that contains a word").await;
    job.search("yol").await;
    job.open_first("so that the yolk stays soft").await;
    job.sees("How long do I boil an egg").await;
    job.done();
}

async fn who_changed_a_balance(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "see who changed balances on a day").await;
    job.go_to_place("History").await;
    job.sees("Object").await;
    job.unfold("Filter").await;
    job.choose("action", "adjust").await;
    job.choose("date", "today").await;
    job.press("Apply").await;
    job.sees("What was done: adjusted the balance").await;
    job.sees(SUPERUSER).await;
    job.done();
}

async fn deactivate(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "deactivate a user and end the sessions").await;
    job.search("deactivate priya").await;
    job.open_first("Deactivate priya.raman").await;
    job.sees("Blocks login and chats").await;
    job.press("Deactivate").await;
    job.sees("Can chat: no").await;
    job.done();
}

async fn statement(visitor: &Visitor, demo: &Demo) {
    let mut job = Job::begin(visitor, "print the monthly statement of a customer").await;
    job.go_to_place("Ledger").await;
    job.sees("Show sums").await;
    job.unfold("Filter").await;
    job.fill(&[("user", demo.name)]).await;
    job.choose("date", "month").await;
    job.press("Apply").await;
    job.sees("When: This month").await;
    visitor.use_paper().await;
    job.sees("Opening balance").await;
    visitor.use_screen().await;
    job.done();
}

async fn own_settings(visitor: &Visitor) {
    let mut job = Job::begin(visitor, "set the own time zone").await;
    job.unfold(SUPERUSER).await;
    job.follow("Settings").await;
    job.sees("Your sessions").await;
    job.choose("time_zone", "Europe/Lisbon").await;
    job.press("Save").await;
    job.sees("Settings saved.").await;
    job.done();
    let mut job = Job::begin(visitor, "change the own password").await;
    job.unfold(SUPERUSER).await;
    job.follow("Change password").await;
    job.sees("Current password").await;
    job.fill(&[("old_password", PASSWORD), ("password", "nine calm herons"), ("again", "nine calm herons")])
        .await;
    job.press("Change password").await;
    job.sees("Password changed.").await;
    job.done();
}
