//! Anonymising a user removes the name and all texts, and keeps every amount.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use tollgate::administration::finish_all;
use tollgate::metering::{Ended, Ending, end_hold};

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::index::assert_in_no_file;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

const NAME: &str = "Wanda.Unmistakable";
const SAID: &str = "xylophone quartz";

/// Sends a form in one of the menus of a list.
async fn in_a_menu(browser: &Browser<'_>, list: &str, action: &str, fields: &[(&str, &str)]) {
    let page = browser.get(list).await;
    let form = page.forms().into_iter().find(|form| form.action == action).unwrap();
    browser.send(&form.with(fields)).await.assert_status(303);
}

/// Returns everything that the database stores as text, table by table. SQLite's search tables
/// store no text, so the test searches them instead.
fn dump(app: &TestApp, on: On) -> Vec<(String, String)> {
    let tables = [
        "users",
        "auth_tokens",
        "chats",
        "conversations",
        "responses",
        "idempotency_keys",
        "sessions",
        "audit_log",
        "bulk_operations",
        "bulk_failures",
        "panel_columns",
        "panel_settings",
        "saved_views",
        "verifications",
        "chat_search",
        "user_search",
        "history_search",
        "user_balances",
    ];
    let text = |table: &str| match on {
        On::Postgres => format!("SELECT string_agg(CAST(t AS TEXT), ' ') AS value FROM {table} t"),
        On::Sqlite => {
            let is_indexed =
                ["chat_search", "user_search", "history_search", "user_balances"].contains(&table);
            let schema = if is_indexed { "idx" } else { "main" };
            let columns = app.text(&format!(
                "SELECT group_concat('coalesce(CAST(\"' || name || '\" AS TEXT), '''')', ' || '' '' || ') AS value
                 FROM pragma_table_info('{table}', '{schema}') WHERE name NOT IN ('digest', 'seed', 'ids', 'fingerprint')"
            ));
            format!("SELECT group_concat({}, ' ') AS value FROM {table}", columns.unwrap())
        }
    };
    tables.map(|table| (table.to_owned(), app.text(&text(table)).unwrap_or_default())).to_vec()
}

/// Does everything that leaves a trace of a user, as the user and as an administrator. Returns the
/// administrator and the user's id.
async fn leave_traces<'a>(app: &'a TestApp) -> (Browser<'a>, i64) {
    let token = app.user(NAME).await;
    app.chat(&token, SAID).await.assert_status(201);
    app.chat_with_key(&token, SAID, "unmistakable-key").await.assert_status(201);
    let said = serde_json::json!({ "model": "dummy", "input": SAID });
    let first = app.post("/v1/responses", &token, said.clone()).await.assert_status(200).json();
    let next = serde_json::json!({ "model": "dummy", "input": SAID, "previous_response_id": first["id"] });
    app.post("/v1/responses", &token, next).await.assert_status(200);
    app.sql(
        "INSERT INTO conversations (user_id, title, created_at) SELECT id, 'wanda and the quartz', date_joined FROM users;
         INSERT INTO conversations (user_id, title, created_at, deleted_at) SELECT id, '', date_joined, date_joined FROM users;
         UPDATE chats SET answer_extras = '{\"message\":{\"reasoning_content\":\"quartz\"}}', response = NULL
         WHERE id = (SELECT max(id) FROM chats)"
    );
    let named = app.post("/auth-tokens/", &token, serde_json::json!({ "name": "wanda's laptop" })).await;
    named.assert_status(201);
    app.services.auth.write_last_uses().await;
    let root = app.superuser("root").await;
    let id = app.id_of(NAME);
    let user = format!("/admin/users/{id}");
    root.submit(
        &format!("{user}/edit/"),
        &[("username", "wanda.before"), ("staff", "1"), ("own_password", PASSWORD)],
    )
    .await
    .assert_status(303);
    let wanda = Browser::signed_in(app, "wanda.before").await;
    let fields = [("page_size", "10"), ("time_zone", "Europe/Vienna"), ("theme", "dark")];
    wanda.submit("/admin/settings/", &fields).await.assert_status(303);
    in_a_menu(&wanda, "/admin/chats/?q=vienna", "/admin/views/", &[("name", "About Vienna")]).await;
    in_a_menu(&wanda, "/admin/chats/", "/admin/columns/", &[("column", "Vienna")]).await;
    // Views of others that name the user, by a former name or by a part of one.
    for (name, list) in
        [("Chats of one user", "/admin/chats/?user=wanda.before"), ("Somebody", "/admin/users/?q=unmistak")]
    {
        in_a_menu(&root, list, "/admin/views/", &[("name", name), ("shared", "1")]).await;
    }
    app.catch_up().await;
    // A search for a former name of the user.
    let list = root.get("/admin/users/?q=wanda").await.form().with(&[("all", "1")]);
    let form = root.send(&list).await.form().with(&[("amount", "1"), ("reason", "x")]);
    root.confirm(&form).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    root.submit(&format!("{user}/edit/"), &[("username", NAME)]).await.assert_status(303);
    root.submit(&format!("{user}/adjust/"), &[("amount", "50"), ("reason", "for a good idea")])
        .await
        .assert_status(303);
    let chat = app.number("SELECT min(id) AS value FROM chats");
    root.submit(&format!("/admin/chats/{chat}/refund/"), &[("reason", "wanda was unhappy")])
        .await
        .assert_status(303);
    app.catch_up().await;
    let list = root.get("/admin/users/?q=unmistakable").await.form().with(&[("all", "1")]);
    let form = root.send(&list).await.form().with(&[("amount", "1"), ("reason", "x")]);
    root.confirm(&form).await.assert_status(303);
    let tokens = root.get(&format!("/admin/auth-tokens/?user={NAME}")).await.form().with(&[("all", "1")]);
    let form = root.send(&tokens).await.form().with(&[("reason", "x")]);
    root.send(&form).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    app.log_in(NAME, PASSWORD).await.assert_status(200);
    let edit = root.get(&format!("{user}/edit/")).await.form().without("staff");
    root.send(&edit).await.assert_status(303);
    app.catch_up().await;
    (root, id)
}

#[rstest]
#[actix_web::test]
async fn the_page_counts_what_is_removed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (token, other) = (app.user("ada").await, app.user("eve").await);
    for token in [&token, &token, &other] {
        let said = serde_json::json!({ "model": "dummy", "input": "hi" });
        app.post("/v1/responses", token, said).await.assert_status(200);
    }
    let root = app.superuser("root").await;
    let page = root.get(&format!("/admin/users/{}/anonymise/", app.id_of("ada"))).await;
    page.assert_shows(&["Chats whose texts are removed 2", "Stored responses removed 2"]);
}

#[rstest]
#[actix_web::test]
async fn an_anonymised_user_leaves_no_trace_but_the_amounts(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (root, id) = leave_traces(&app).await;
    let traces = |words: &[&str]| -> Vec<String> {
        let dump = dump(&app, on).into_iter();
        let has = |text: &str| words.iter().any(|word| text.to_lowercase().contains(word));
        dump.filter(|(_, text)| has(text)).map(|(table, _)| table).collect()
    };
    let words = ["wanda", "unmistakable", "xylophone", "quartz", "vienna"];
    let before = traces(&words);
    for table in [
        "users",
        "auth_tokens",
        "chats",
        "conversations",
        "responses",
        "audit_log",
        "bulk_operations",
        "idempotency_keys",
        "panel_columns",
        "saved_views",
    ] {
        assert!(
            before.iter().any(|trace| trace == table),
            "there is no trace in {table} to remove: {before:?}"
        );
    }
    for word in ["wanda", "unmistakable"] {
        root.get(&format!("/admin/history/?q={word}")).await.assert_hides(&["No entries match"]);
    }
    let entries = app.count(&format!("ledger_entries WHERE user_id = {id}"));
    let tokens = app.number(&format!("SELECT tokens AS value FROM users WHERE id = {id}"));
    let page = root.get(&format!("/admin/users/{id}/anonymise/")).await;
    page.assert_shows(&[
        "This cannot be undone",
        "Chats whose texts are removed 4",
        "Conversations removed 2",
        "Balance kept 3,752",
    ]);
    root.send(&page.form().with(&[("name", "wanda")])).await.assert_status(400).assert_shows(&["to confirm"]);
    root.send(&page.form().with(&[("name", NAME)])).await.assert_status(303);
    // Before the worker runs, log-in already fails, and the name is gone.
    app.log_in(NAME, PASSWORD).await.assert_error(400, "Invalid username");
    root.get(&format!("/admin/users/{id}/")).await.assert_shows(&[&format!("anonymous-{id}"), "inactive"]);
    finish_all(&app.services.db).await.unwrap();
    app.catch_up().await;
    // `dump` leaves out the ledger: its reasons stay, as the page says.
    assert_eq!(traces(&words), [""; 0], "{:#?}", dump(&app, on));
    assert_eq!(app.count("conversations WHERE deleted_at IS NULL"), 0);
    assert_eq!(app.count("chats WHERE answer_extras IS NOT NULL"), 0);
    for table in ["sessions", "auth_tokens", "idempotency_keys", "responses"] {
        assert_eq!(app.count(&format!("{table} WHERE user_id = {id}")), 0, "{table}");
    }
    assert_eq!(app.count(&format!("ledger_entries WHERE user_id = {id}")), entries);
    assert_eq!(app.number(&format!("SELECT tokens AS value FROM users WHERE id = {id}")), tokens);
    assert_eq!(app.count(&format!("audit_log WHERE user_id = {id} AND action = 'anonymise'")), 1);
    app.assert_sound();
    root.get("/admin/users/?q=unmistakable").await.assert_shows(&["0 of "]);
    root.get("/admin/chats/?q=xylophone").await.assert_shows(&["0 of "]);
    for word in ["wanda", "unmistakable"] {
        root.get(&format!("/admin/history/?q={word}")).await.assert_shows(&["0 of "]);
    }
    root.get(&format!("/admin/users/?q=anonymous-{id}")).await.assert_shows(&["1 of "]);
    root.get("/admin/chats/?date=today&state=complete").await.assert_shows(&["4 of "]);
    // The name is free for somebody else.
    app.register(NAME).await.assert_status(201);
}

#[rstest]
#[actix_web::test]
async fn a_user_anonymised_before_the_follower_runs_is_not_found_either(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user(NAME).await;
    app.chat(&token, SAID).await.assert_status(201);
    let root = app.superuser("root").await;
    let id = app.id_of(NAME);
    root.submit(&format!("/admin/users/{id}/anonymise/"), &[("name", NAME)]).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    app.catch_up().await;
    root.get("/admin/chats/?q=xylophone").await.assert_shows(&["0 of "]);
    root.get("/admin/users/?q=wanda").await.assert_shows(&["0 of "]);
    root.get("/admin/users/?q=anonymous").await.assert_shows(&["1 of "]);
}

#[rstest]
#[actix_web::test]
async fn open_holds_and_staff_rights_prevent_anonymising(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let hold = app.hold(&token).await;
    let root = app.superuser("root").await;
    app.staff("grace").await;
    let anonymise = |name: &str| format!("/admin/users/{}/anonymise/", app.id_of(name));
    for name in ["grace", "root"] {
        let page = root.submit(&anonymise(name), &[("name", name)]).await;
        page.assert_status(409).assert_shows(&["staff rights first"]);
    }
    let page = root.submit(&anonymise("ada"), &[("name", "ada")]).await;
    page.assert_status(409).assert_shows(&["Wait until they end, or release their holds"]);
    assert_eq!(app.count("users WHERE username IN ('ada', 'grace', 'root') AND is_active"), 3);
    assert_eq!(app.count("bulk_operations"), 0);
    app.get("/balance/", &token).await.assert_status(200);

    let release = format!("/admin/chats/{hold}/release/");
    root.submit(&release, &[("reason", "it hangs")]).await.assert_status(303);
    root.submit(&anonymise("ada"), &[("name", "ada")]).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    // The answer still comes, but is not stored.
    let late = move |conn: &mut tollgate::db::DbConnection| {
        let ending = Ending::answered(SAID.to_owned());
        let now = tollgate::clock::now();
        Ok(end_hold(conn, hold, &ending, tollgate::domain::OperationId::generate(), now)?)
    };
    let ended = app.services.db.write(tollgate::db::Scope::none(), late).await.unwrap();
    assert_eq!(ended, Ended::AlreadyRefunded);
    assert_eq!(app.count("chats WHERE response IS NOT NULL OR message <> ''"), 0);
    app.assert_sound();
}

/// Not only do queries find nothing: the files have no byte of the texts left in tables, free
/// pages, logs or the search index, as soon as the operation says that it is done.
#[actix_web::test]
async fn no_byte_of_an_anonymised_users_texts_is_left_in_the_sqlite_file() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let mut others = Vec::new();
    for number in 0..6 {
        others.push(app.user(&format!("other{number}")).await);
    }
    // Add other chats, so that parts of the index are merged and pages are split before
    // anonymising.
    for number in 0..120 {
        app.chat(&others[number / 30], &format!("word{number} {}", "other words ".repeat(number * 7 % 90)))
            .await
            .assert_status(201);
        if number % 20 == 0 {
            app.catch_up().await;
        }
    }
    let (root, id) = leave_traces(&app).await;
    for number in 0..60 {
        app.chat(
            &others[4 + number / 30],
            &format!("later{number} {}", "more words ".repeat(number * 11 % 90)),
        )
        .await
        .assert_status(201);
        if number % 20 == 0 {
            app.catch_up().await;
        }
    }
    // The planner's statistics contain samples of indexed values.
    app.sql("ANALYZE main");
    let page = root.get(&format!("/admin/users/{id}/anonymise/")).await;
    page.assert_shows(&["Backups still contain everything"]);
    root.send(&page.form().with(&[("name", NAME)])).await.assert_status(303);
    assert_eq!(finish_all(&app.services.db).await.unwrap(), 0);
    let words = ["xylophone", "unmistakable", "wanda.before", "wanda's laptop", "vienna"];
    assert_in_no_file(app.database().url(), &words);
    app.catch_up().await;
    let db = &app.services.db;
    // A closed database cannot be verified when the app is dropped.
    app.assert_sound();
    app.damages_its_books();
    db.close(std::time::Instant::now() + std::time::Duration::from_secs(10)).unwrap();
    let path = db.url().to_string();
    assert!(!std::path::Path::new(&format!("{path}-wal")).exists());
    let index = path.replace(".db", "-index.db");
    assert!(!std::path::Path::new(&format!("{index}-wal")).exists());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(std::fs::read(&index).unwrap());
    let bytes = bytes.to_ascii_lowercase();
    let has = |word: &str| bytes.windows(word.len()).filter(|part| *part == word.as_bytes()).count();
    assert!(has("word100") > 0, "this is the wrong file");
    assert_in_no_file(&path, &words);
    assert_eq!(has("quartz"), 6, "only the conversations of the others have that title");
}

/// While something reads an old state, the log has to keep it.
#[actix_web::test]
async fn anonymising_is_not_finished_while_the_log_cannot_be_emptied() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user(NAME).await;
    app.chat(&token, SAID).await.assert_status(201);
    let root = app.superuser("root").await;
    let id = app.id_of(NAME);
    let mut reader = crate::support::ledger::raw(On::Sqlite, app.database().url());
    reader.batch_execute("BEGIN; SELECT id FROM main.chats").unwrap();
    root.submit(&format!("/admin/users/{id}/anonymise/"), &[("name", NAME)]).await.assert_status(303);
    let unfinished = "bulk_operations WHERE finished_at IS NULL";
    assert_eq!(finish_all(&app.services.db).await.unwrap(), 1);
    assert_eq!(app.count(unfinished), 1);
    // Meanwhile chats go on.
    let other = app.user("other").await;
    app.chat(&other, "hello").await.assert_status(201);
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(finish_all(&app.services.db).await.unwrap(), 0);
    assert_eq!(app.count(unfinished), 0);
    assert_in_no_file(app.database().url(), &["xylophone", "unmistakable"]);
}

/// The folder of the index cannot be written, for example.
#[actix_web::test]
async fn while_there_is_no_index_each_text_is_removed_once() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user(NAME).await;
    for _ in 0..3 {
        app.chat(&token, SAID).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    let id = app.id_of(NAME);
    let index = app.database().url().replace(".db", "-index.db");
    std::fs::create_dir(&index).unwrap();
    root.submit(&format!("/admin/users/{id}/anonymise/"), &[("name", NAME)]).await.assert_status(303);
    for _ in 0..3 {
        assert_eq!(finish_all(&app.services.db).await.unwrap(), 1);
        assert_eq!(app.count("chats WHERE message <> '' OR response IS NOT NULL"), 0);
        assert_eq!(app.count("index_changes WHERE kind = 'chat'"), 3, "a removal is noted again");
    }
    assert_eq!(app.count("bulk_operations WHERE finished_at IS NULL"), 1);
    std::fs::remove_dir(&index).unwrap();
    assert_eq!(finish_all(&app.services.db).await.unwrap(), 0);
    assert_eq!(app.count("bulk_operations WHERE finished_at IS NULL"), 0);
    assert_in_no_file(app.database().url(), &["xylophone", "unmistakable"]);
}
