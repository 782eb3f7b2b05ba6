//! Models in the panel: which are on offer, their prices, and the history of both.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use tollgate::administration::{Edited, edit_model};
use tollgate::audit::Actor;
use tollgate::db::{Db, DbConnection};
use tollgate::models::{Editable, Model, ModelChanges};

use crate::api::upstream::spawn;
use crate::support::On;
use crate::support::app::{TestApp, eventually};
use crate::support::ledger::{open, raw};
use crate::support::panel::Browser;
use crate::support::upstream::status;

/// The flags for an upstream that cannot be reached.
pub(super) const UPSTREAM: [&str; 6] = [
    "--responder",
    "openai",
    "--upstream-url",
    "http://127.0.0.1:9/v1",
    "--upstream-models",
    "small-1,big/2?",
];

/// Adds two models at the settings' price. Returns the paths of their pages.
fn two_models(app: &TestApp) -> [String; 2] {
    app.sql("INSERT INTO models (name) VALUES ('small-1'), ('big/2?')");
    ["small-1", "big/2?"].map(|name| {
        let id = app.number(&format!("SELECT id AS value FROM models WHERE name = '{name}'"));
        format!("/admin/models/{id}/")
    })
}

/// Returns a model's stored state, prices and version.
fn stored(app: &TestApp, name: &str) -> String {
    let number = |column: &str| format!("coalesce(CAST({column} AS TEXT), '-')");
    let columns =
        ["base_price", "prompt_price", "completion_price", "version"].map(number).join(" || ' ' || ");
    let state = "CASE WHEN is_withdrawn THEN 'withdrawn ' ELSE 'on offer ' END";
    app.text(&format!("SELECT {state} || {columns} AS value FROM models WHERE name = '{name}'")).unwrap()
}

const PRICE: [(&str, &str); 4] = [("price", "usage"), ("base", "5"), ("prompt", "10"), ("answer", "1,030")];

#[rstest]
#[actix_web::test]
async fn without_models_the_page_says_how_to_get_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let page = root.get("/admin/models/").await;
    page.assert_shows(&["the built-in dummy answers every message", "--responder openai"]);
    two_models(&app);
    let page = root.get("/admin/models/").await;
    page.assert_hides(&["the built-in dummy"]);
    page.assert_shows(&["small-1 – not in the settings 100 tokens per message (default)"]);
}

#[rstest]
#[actix_web::test]
async fn a_price_is_set_and_reset_and_the_history_shows_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(
        on,
        &[&UPSTREAM[..], &["--chat-price", "7", "--upstream-max-output", "1000"]].concat(),
    )
    .await
    else {
        return;
    };
    let root = app.superuser("root").await;
    let [small, big] = two_models(&app);
    root.get(&small).await.assert_shows(&["7 tokens per message (default)"]);
    let page = root.submit_and_follow(&small, &PRICE).await;
    assert_eq!(stored(&app, "small-1"), "on offer 5 10 1030 1");
    assert_eq!(stored(&app, "big/2?"), "on offer - - - 0", "another model was changed, too");
    page.assert_shows(&[
        "Saved small-1",
        "base 5 + 10 per 1,000 prompt tokens + 1,030 per 1,000 answer tokens",
        // 5 + 10 + 515, and 5 + 40 + 1,030.
        "and 500 answer tokens cost 530. Held first: 1,075, the most with the default limit of 1,000 answer tokens",
        "base price: before default",
        "price of 1,000 answer tokens: before default → after 1,030",
    ]);
    let form = page.form().with(&[("withdrawn", "1"), ("price", "message")]);
    root.send(&form).await.assert_status(303);
    assert_eq!(stored(&app, "small-1"), "withdrawn - - - 2");
    root.get("/admin/models/").await.assert_shows(&["small-1 – withdrawn 7 tokens per message"]);
    assert!(root.get("/admin/").await.links().contains(&small), "Home does not lead to the model");
    for path in ["/admin/history/".to_owned(), format!("{small}history/")] {
        let page = root.get(&path).await;
        page.assert_shows(&["withdrawn: before no → after yes", "base price: before 5"]);
        assert!(page.links().contains(&small), "{path} does not lead to the model");
    }
    root.get(&format!("{big}history/")).await.assert_shows(&["No changes yet"]);
    assert_eq!(app.count("audit_log WHERE object_kind = 'model' AND user_id IS NULL"), 2);
    let chats = root.get(&big).await.link("Chats with this model");
    root.get(&chats).await.assert_shows(&["Model: big/2?"]);
}

#[rstest]
#[actix_web::test]
async fn an_invalid_price_is_rejected_at_its_field(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let [small, _] = two_models(&app);
    for wrong in ["", "-1", "1.5", "1,5", "1000000000001", "99999999999999999999", "ten"] {
        let page = root
            .submit(&small, &[("price", "usage"), ("base", "5"), ("prompt", wrong), ("answer", "1")])
            .await;
        page.assert_status(400).assert_shows(&[
            "Please correct this Per 1,000 prompt tokens: Enter a whole number from 0 to 1,000,000,000,000",
        ]);
        assert_eq!(page.form().field("prompt"), Some(wrong), "the input is kept");
        assert_eq!(page.form().field("base"), Some("5"));
    }
    root.submit(&small, &[("price", "free")])
        .await
        .assert_status(400)
        .assert_shows(&["Choose one of the two"]);
    assert_eq!(stored(&app, "small-1"), "on offer - - - 0");
    assert_eq!(app.count("audit_log WHERE object_kind = 'model'"), 0);
    let limits = [("price", "usage"), ("base", "0"), ("prompt", "0"), ("answer", "1000000000000")];
    root.submit(&small, &limits).await.assert_status(303);
    assert_eq!(stored(&app, "small-1"), "on offer 0 0 1000000000000 1");
}

#[rstest]
#[actix_web::test]
async fn the_second_of_two_edits_of_a_model_shows_what_the_first_changed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let one = app.superuser("root").await;
    let other = Browser::signed_in(&app, "root").await;
    let [small, _] = two_models(&app);
    let slow = one.get(&small).await.form().with(&[("withdrawn", "1"), ("base", "9")]);
    other.submit(&small, &PRICE).await.assert_status(303);
    // A fault in between does not hide the conflict.
    let faulty = one.send(&slow.with(&[("price", "usage")])).await;
    faulty.assert_status(400);
    let page = one.send(&faulty.form().with(&[("prompt", "10"), ("answer", "3")])).await;
    page.assert_status(409).assert_shows(&[
        "Somebody else changed this while you were editing",
        "Withdrawn no yes",
        "Per message 5 9",
        "Per 1,000 answer tokens 1,030 3",
    ]);
    page.assert_hides(&["<th scope=\"row\">Per 1,000 prompt tokens</th>"]);
    assert_eq!(stored(&app, "small-1"), "on offer 5 10 1030 1", "nothing was saved");
    // Sending that page again is meant to overwrite.
    one.send(&page.form()).await.assert_status(303);
    assert_eq!(stored(&app, "small-1"), "withdrawn 9 10 3 2");
    // An edit to the values that are already stored does not conflict.
    let same = other.get(&small).await.form().with(&[("version", "0")]);
    let done = other.send(&same).await;
    other.follow(&done).await.assert_shows(&["No changes to save."]);
    assert_eq!(app.count("audit_log WHERE object_kind = 'model'"), 2);
}

#[rstest]
#[actix_web::test]
async fn staff_can_see_models_but_not_change_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let grace = app.staff("grace").await;
    let [small, _] = two_models(&app);
    let page = grace.get(&small).await;
    page.assert_status(200).assert_shows(&["100 tokens per message"]);
    assert!(page.posting_forms().is_empty(), "staff can see a form");
    let mut form = root.get(&small).await.form().with(&PRICE);
    form.fields.retain(|(name, _)| name != "csrf");
    let csrf = grace.csrf().await;
    grace.send(&form.with(&[("csrf", &csrf)])).await.assert_status(403);
    assert_eq!(stored(&app, "small-1"), "on offer - - - 0");
}

/// Returns a model's stored properties.
fn properties(app: &TestApp) -> String {
    let text = |column: &str| format!("coalesce(CAST({column} AS TEXT), '-')");
    let numbers =
        ["context_tokens", "default_output", "max_output", "image_tokens", "extra_fields"].map(text);
    let answers = ["accepts_images", "accepts_audio", "accepts_tools"]
        .map(|column| format!("CASE WHEN {column} THEN 'yes' WHEN NOT {column} THEN 'no' ELSE '-' END"));
    let columns = [&answers[..], &numbers[..]].concat().join(" || ' ' || ");
    app.text(&format!("SELECT {columns} AS value FROM models WHERE name = 'small-1'")).unwrap()
}

#[rstest]
#[actix_web::test]
async fn properties_are_set_and_cleared_and_the_history_shows_them(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &UPSTREAM).await else { return };
    let root = app.superuser("root").await;
    let [small, _] = two_models(&app);
    root.get(&small).await.assert_shows(&[
        "Accepts images unknown Accepts audio unknown Accepts tools unknown Context window unknown \
         Answer, if the client sets no limit 4,096 (default) Answer, at most 16,384 (default) \
         Tokens of an image, at most 2,000 (default)",
    ]);
    assert_eq!(properties(&app), "- - - - - - - ");
    let values = [
        ("accepts_images", "no"),
        ("accepts_tools", "yes"),
        ("context_tokens", "32,768"),
        ("default_output", "512"),
        ("max_output", "8192"),
        ("image_tokens", "765"),
        ("extra_fields", "chat_template_kwargs,think"),
    ];
    let page = root.submit_and_follow(&small, &values).await;
    assert_eq!(properties(&app), "no - yes 32768 512 8192 765 chat_template_kwargs, think");
    page.assert_shows(&[
        "Accepts images no Accepts audio unknown Accepts tools yes Context window 32,768",
        "512 (default: 4,096) Answer, at most 8,192 (default: 16,384)",
        "Further fields chat_template_kwargs, think",
        "accepts images: before unknown → after no",
        "context window: before unknown → after 32,768",
        "usual limit of an answer: before default → after 512",
        "further fields: after chat_template_kwargs, think",
    ]);
    let cleared = values.map(|(name, _)| (name, if name.starts_with("accepts") { "unknown" } else { "" }));
    root.submit_and_follow(&small, &cleared)
        .await
        .assert_shows(&["highest limit of an answer: before 8,192"]);
    assert_eq!(properties(&app), "- - - - - - - ");
}

#[rstest]
#[actix_web::test]
async fn embeddings_get_a_price_of_their_own_whatever_the_pricing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &UPSTREAM).await else { return };
    let root = app.superuser("root").await;
    let [small, _] = two_models(&app);
    let price =
        || app.text("SELECT CAST(embedding_price AS TEXT) AS value FROM models WHERE name = 'small-1'");
    root.get(&small).await.assert_shows(&["Price of embeddings as a message"]);
    let page = root.submit_and_follow(&small, &[("embeddings", "1,020")]).await;
    assert_eq!((price().as_deref(), stored(&app, "small-1").as_str()), (Some("1020"), "on offer - - - 1"));
    page.assert_shows(&[
        "Price of embeddings 1,020 per 1,000 tokens",
        "price of embeddings of 1,000 tokens: before default → after 1,020",
    ]);
    root.get("/admin/models/").await.assert_shows(&["(default) 1,020 per 1,000 tokens"]);
    for wrong in ["-1", "1.5", "1000000000001"] {
        let page = root.submit(&small, &[("embeddings", wrong)]).await;
        page.assert_status(400).assert_shows(&["1,000,000,000,000, or leave it empty"]);
        assert_eq!(page.form().field("embeddings"), Some(wrong), "the input is kept");
    }
    root.submit(&small, &[("embeddings", "")]).await.assert_status(303);
    assert_eq!(price(), None);
}

#[actix_web::test]
async fn a_models_page_shows_what_the_upstream_reports_where_nothing_is_set() {
    let Some((app, upstream, _)) = spawn(On::Sqlite, &[]).await else { return };
    let root = app.superuser("root").await;
    let list = r#"{"data":[{"id":"m","context_length":32768,"max_completion_tokens":8192,
                            "capabilities":{"vision":true}}]}"#;
    upstream.models(status(200, &[("content-type", "application/json")], list));
    app.services.toll.learn_models().await;
    let page = format!("/admin/models/{}/", app.number("SELECT id AS value FROM models WHERE name = 'm'"));
    root.get(&page).await.assert_shows(&[
        "Accepts images as the upstream reports: yes Accepts audio unknown",
        "Context window as the upstream reports: 32,768",
        "Answer, at most as the upstream reports: 8,192",
    ]);
    root.submit_and_follow(&page, &[("accepts_images", "no"), ("max_output", "9000")]).await.assert_shows(&[
        "Accepts images no Accepts audio unknown",
        "Answer, at most 9,000 (default: 16,384)",
    ]);
}

#[actix_web::test]
async fn each_property_with_an_invalid_value_is_rejected_at_its_field() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let root = app.superuser("root").await;
    let [small, _] = two_models(&app);
    for (field, wrong, error) in [
        ("accepts_images", "maybe", "Choose one of the three"),
        ("accepts_audio", "", "Choose one of the three"),
        ("context_tokens", "0", "Enter a whole number from 1 to 100,000,000, or leave it empty"),
        ("default_output", "1.5", "Enter a whole number from 1 to 10,000,000, or leave it empty"),
        ("max_output", "10000001", "Enter a whole number from 1 to 10,000,000, or leave it empty"),
        ("image_tokens", "-1", "Enter a whole number from 1 to 1,000,000, or leave it empty"),
        ("extra_fields", "a-b", "Separate the names with commas"),
        ("extra_fields", "think, max_tokens", "Leave out max_tokens"),
    ] {
        let page = root.submit(&small, &[(field, wrong), ("withdrawn", "1")]).await;
        page.assert_status(400).assert_shows(&["Please correct this", error]);
        if !field.starts_with("accepts") {
            assert_eq!(page.form().field(field), Some(wrong), "the input is kept");
        }
    }
    assert_eq!(properties(&app), "- - - - - - - ");
    assert_eq!(stored(&app, "small-1"), "on offer - - - 0");
}

#[actix_web::test]
async fn a_conflict_of_properties_shows_both_values() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let root = app.superuser("root").await;
    let [small, _] = two_models(&app);
    let slow = root.get(&small).await.form().with(&[
        ("accepts_images", "yes"),
        ("max_output", "5000"),
        ("extra_fields", "a"),
    ]);
    let first =
        [("accepts_images", "no"), ("max_output", "6000"), ("extra_fields", "b"), ("context_tokens", "9000")];
    root.submit(&small, &first).await.assert_status(303);
    root.send(&slow).await.assert_status(409).assert_shows(&[
        "Accepts images no yes",
        "Context window 9,000 unknown",
        "Answer, at most 6,000 5,000",
        "Further fields b a",
    ]);
    assert_eq!(properties(&app), "no - - 9000 - 6000 - b");
}

/// Gives a model an alias, on the node of this database handle.
async fn give_alias(node: &Db, id: i64) -> Edited<Model> {
    let model = node.read(move |conn| Ok(Model::find(conn, id)?)).await.unwrap().unwrap();
    let wanted = ModelChanges { aliases: "claude-*".to_owned(), ..ModelChanges::of(&model) };
    edit_model(node, &Actor::default(), id, model.version, wanted).await.unwrap()
}

#[actix_web::test]
async fn two_edits_at_once_never_give_one_alias_to_two_models() {
    let Some(app) = TestApp::spawn_with(On::Postgres, &UPSTREAM).await else { return };
    two_models(&app);
    let id = |name: &str| app.number(&format!("SELECT id AS value FROM models WHERE name = '{name}'"));
    let (small, big) = (id("small-1"), id("big/2?"));
    let nodes = [open(app.database().url(), 1), open(app.database().url(), 1)];
    // Another node has stored the alias, and not committed it yet.
    let mut other = raw(On::Postgres, app.database().url());
    let DbConnection::Postgres(other) = &mut other else { return };
    other.batch_execute("BEGIN; UPDATE models SET aliases = 'claude-*' WHERE name = 'small-1'").unwrap();
    let commits = async {
        let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("the edit waits", async || app.count(waiting) > 0).await;
        other.batch_execute("COMMIT").unwrap();
    };
    let (edited, ()) = tokio::join!(give_alias(&nodes[0], big), commits);
    assert!(matches!(edited, Edited::Refused(_)), "{edited:?}");
    for _ in 0..10 {
        app.sql("UPDATE models SET aliases = ''");
        let (one, two) = tokio::join!(give_alias(&nodes[0], small), give_alias(&nodes[1], big));
        assert_eq!(app.count("models WHERE aliases <> ''"), 1, "{one:?} {two:?}");
    }
}

#[rstest]
#[actix_web::test]
async fn aliases_are_set_once_each_and_the_history_and_the_list_show_them(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &UPSTREAM).await else { return };
    let root = app.superuser("root").await;
    let [small, big] = two_models(&app);
    let aliases =
        |name: &str| app.text(&format!("SELECT aliases AS value FROM models WHERE name = '{name}'")).unwrap();
    let page = root.submit_and_follow(&small, &[("aliases", " claude-*,gpt-4 ,, claude-*")]).await;
    assert_eq!(aliases("small-1"), "claude-*, gpt-4");
    page.assert_shows(&["Aliases claude-*, gpt-4", "aliases: after claude-*, gpt-4"]);
    root.get("/admin/models/").await.assert_shows(&["small-1 claude-*, gpt-4 on offer"]);
    // Another model may have a longer one, and not the same.
    let taken = root.submit(&big, &[("aliases", "gpt-5, gpt-4")]).await;
    taken
        .assert_status(400)
        .assert_shows(&["Leave out gpt-4: it is an alias of the model small-1. Remove it there first."]);
    assert_eq!(taken.form().field("aliases"), Some("gpt-5, gpt-4"), "the input is kept");
    assert_eq!((aliases("big/2?").as_str(), stored(&app, "big/2?").as_str()), ("", "on offer - - - 0"));
    root.submit_and_follow(&big, &[("aliases", "claude-opus-*")]).await;
    root.submit_and_follow(&small, &[("aliases", "claude-*")]).await;
    root.submit_and_follow(&big, &[("aliases", "gpt-4")]).await;
    assert_eq!((aliases("small-1").as_str(), aliases("big/2?").as_str()), ("claude-*", "gpt-4"));
    root.submit(&big, &[("aliases", "*-opus")])
        .await
        .assert_status(400)
        .assert_shows(&["Put a * only at the end"]);
    root.submit_and_follow(&small, &[("aliases", "")]).await.assert_shows(&["aliases: before claude-*"]);
    assert_eq!(aliases("small-1"), "");
}
