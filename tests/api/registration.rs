//! Which names and passwords a new user may have. The parsers' unit tests cover each character.
//! These tests show that the rules apply before the database is reached, and that nothing bypasses
//! them.

use diesel::connection::SimpleConnection;
use futures_util::future::join_all;
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{GUEST, TestApp, eventually};
use crate::support::ledger::raw;
use crate::support::server::PASSWORD;

#[rstest]
#[actix_web::test]
async fn a_name_is_stored_in_nfkc_and_any_form_of_it_logs_in(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for (sent, shown, also) in [
        ("Ada.Lovelace+1@example_x-y", "Ada.Lovelace+1@example_x-y", "aDA.lOVELACE+1@EXAMPLE_X-Y"),
        ("E\u{301}mile", "Émile", "éMILE"),
        ("Ｂｏｂ", "Bob", "bob"),
        ("ΟΔΟΣ", "ΟΔΟΣ", "οδος"),
        ("李雷", "李雷", "李雷"),
        ("7", "7", "\u{FF17}"),
    ] {
        app.register(sent).await.assert_status(201);
        let token = app.token(also).await;
        assert_eq!(app.get("/me/", &token).await.json()["username"], shown);
        app.register(also).await.assert_error(400, "Username already exists");
    }
}

#[rstest]
#[actix_web::test]
async fn a_name_has_1_to_50_characters_after_normalising(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let longest = "e\u{301}".repeat(50);
    app.register(&longest).await.assert_status(201);
    app.register("x").await.assert_status(201);
    let long = ["x".repeat(51), "é".repeat(51), "ﬃ".repeat(17), "x".repeat(100_000)];
    let odd = ["", " ", "a b", "a/b", "a'b", "<b>", "a\0", "a\nb", "a\u{200B}b", "a\u{202E}b", "-a", " -"];
    for name in long.iter().map(String::as_str).chain(odd) {
        app.register(name).await.assert_error(400, "Invalid username or password");
    }
    assert_eq!(app.count("users"), 2);
}

#[rstest]
#[actix_web::test]
async fn a_new_password_is_long_uncommon_and_not_the_name(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let register = |name: &str, password: &str| {
        app.post("/register/", GUEST, json!({ "username": name, "password": password }))
    };
    let (longest, too_long) = ("é".repeat(512), "é".repeat(512) + "x");
    for password in
        ["", "xk7-qpz", &too_long, "password1", "PASSWORD1", " password1 ", "iloveyou", "lovelace.1815"]
            .into_iter()
            .chain(["LOVELACE.1815", "ｌｏｖｅｌａｃｅ.1815", "xk7\0qpzw"])
            // Common passwords with a few characters around them.
            .chain([
                "tollgate2026",
                "T0llgate!",
                "lovelace.18156",
                "!Lovelace.1815",
                "P@ssw0rd2026",
                "sunshine-2026",
            ])
    {
        let answer = register("Lovelace.1815", password).await;
        assert_eq!((answer.status, password), (400, password));
        answer.assert_error(400, "Invalid username or password");
    }
    assert_eq!(app.count("users"), 0);
    for (name, password) in
        [("ada", "xk7-qpzw"), ("bob", &longest), ("carol", "    x7q    "), ("dan", "密码🔑密码🔑密码")]
    {
        register(name, password).await.assert_status(201);
        app.log_in(name, password).await.assert_status(200);
        let cut: String = password.chars().skip(1).collect();
        app.log_in(name, &cut).await.assert_error(400, "Invalid password");
    }
}

#[rstest]
#[actix_web::test]
async fn values_of_a_wrong_type_are_refused(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let wrong = [json!(12345678), json!(null), json!(true), json!(["ada"]), json!({ "a": "b" }), json!(1.5)];
    for value in wrong {
        for body in [
            json!({ "username": value, "password": PASSWORD }),
            json!({ "username": "ada", "password": value }),
            json!({ "username": value, "password": value }),
        ] {
            app.post("/register/", GUEST, body).await.assert_error(400, "Invalid username or password");
        }
    }
    for body in [json!({}), json!({ "username": "ada" }), json!({ "password": PASSWORD })] {
        app.post("/register/", GUEST, body).await.assert_error(400, "Invalid username or password");
    }
    assert_eq!(app.count("users"), 0);
}

#[rstest]
#[actix_web::test]
async fn unknown_keys_are_ignored_and_never_assigned(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let greedy = json!({
        "username": "ada", "password": PASSWORD, "id": 77, "tokens": 1_000_000_000, "opening_tokens": 5,
        "is_superuser": true, "is_staff": true, "is_active": false, "date_joined": "1999-01-01T00:00:00Z",
    });
    app.post("/register/", GUEST, greedy).await.assert_status(201);
    let token = app.token("ada").await;
    assert_eq!(app.balance(&token).await, 4000);
    let me = app.get("/me/", &token).await.json();
    assert!(me["id"] != 77 && !me["date_joined"].as_str().unwrap().starts_with("1999"), "{me}");
    let plain = "users WHERE NOT is_superuser AND NOT is_staff AND is_active";
    assert_eq!(app.count(plain), 1);
    let greedy = json!({ "message": "Hello", "charge": 0, "price": 0, "user_id": 1, "model": "free" });
    let answer = app.post("/chat/", &token, greedy).await;
    answer.assert(201, r#"{"message":"Hello","response":"Response to Hello"}"#);
    assert_eq!(app.get("/chats/", &token).await.json()["chats"][0]["model"], "dummy");
    let greedy = json!({ "name": "n", "user_id": 99, "token": "tg_mine", "digest": "x", "id": 5 });
    let made = app.post("/auth-tokens/", &token, greedy).await.json();
    assert_ne!(made["token"], Value::from("tg_mine"));
    assert_eq!(app.balance(made["token"].as_str().unwrap()).await, 3900);
}

#[rstest]
#[actix_web::test]
async fn a_new_user_starts_with_the_opening_balance_and_its_ledger_entry(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &["--opening-tokens", "12345"]).await else { return };
    let token = app.user("ada").await;
    let entries = app.get("/ledger/", &token).await.json()["entries"].clone();
    let entry = &entries[0];
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!((&entry["kind"], &entry["amount"]), (&json!("opening"), &json!(12345)));
    assert_eq!((&entry["balance_after"], &entry["by"]), (&json!(12345), &json!("system")));
}

#[rstest]
#[actix_web::test]
async fn a_stored_password_is_a_bcrypt_of_the_configured_cost(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--bcrypt-cost", "5"]).await else { return };
    app.register("ada").await.assert_status(201);
    let stored = app.text("SELECT password AS value FROM users").unwrap();
    assert!(stored.starts_with("bcrypt_sha256$$2b$05$"), "{stored}");
}

#[rstest]
#[actix_web::test]
async fn spaces_that_a_phone_appends_do_no_harm(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on"]).await else { return };
    app.register("  ada\u{A0}").await.assert_status(201);
    app.register("ada ").await.assert_error(400, "Username already exists");
    for name in ["ada", "ada ", " Ada", "\tada\n", "ada\u{3000}"] {
        let token = app.token(name).await;
        assert_eq!(app.get("/me/", &token).await.json()["username"], "ada");
    }
    // An imported name may have such spaces. It is another user's.
    app.register("eve").await.assert_status(201);
    app.sql("UPDATE users SET username = 'ada ', username_canonical = 'ada ' WHERE username = 'eve'");
    let token = app.token("ada ").await;
    assert_eq!(app.get("/me/", &token).await.json()["username"], "ada ");
    // Spaces make no other account of a name, with guesses of its own.
    let mut tried = 0;
    for spaces in 0..10 {
        let name = format!("ada{}", " ".repeat(spaces));
        tried += i64::from(app.log_in(&name, "a guess").await.status == 400);
    }
    assert_eq!(tried, 5);
}

#[rstest]
#[actix_web::test]
async fn a_new_name_may_not_look_like_another_users(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for name in ["root", "paypal", "coco", "Modern"] {
        app.register(name).await.assert_status(201);
    }
    // Mixed scripts: Cyrillic, Greek, Cherokee and Armenian letters among Latin ones.
    for name in ["r\u{43E}ot", "ro\u{3BF}t", "\u{13AA}da", "p\u{430}ypal", "\u{578}ot"] {
        app.register(name).await.assert_error(400, "Invalid username or password");
    }
    // One script, but it looks like a name that is taken.
    for name in ["r00t", "paypaI", "\u{441}\u{43E}\u{441}\u{43E}", "ｒｏｏｔ", "rnodern", "PAYPAI"] {
        app.register(name).await.assert_error(400, "Username already exists");
    }
    for name in ["Дмитрий", "Ελένη", "李雷Lee", "rooted"] {
        app.register(name).await.assert_status(201);
    }
    assert_eq!(app.count("users WHERE skeleton_guarded AND username_skeleton IS NOT NULL"), 8);
}

/// Imports users whose names look alike, as an older version or an import left them.
fn import(app: &TestApp, names: &[&str]) {
    for name in names {
        app.sql(&format!(
            "INSERT INTO users (username, username_canonical, password, tokens, date_joined)
             VALUES ('{name}', '{name}', '!', 0, '2020-01-01 00:00:00')"
        ));
    }
}

#[rstest]
#[actix_web::test]
async fn existing_names_that_look_alike_stay_and_guard_against_new_ones(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    import(&app, &["admin", "adm\u{456}n", "adrnin", "p\u{430}ypal"]);
    assert_eq!(tollgate::auth::fill_skeletons(&app.services.db).await.unwrap(), 4);
    assert_eq!(tollgate::auth::fill_skeletons(&app.services.db).await.unwrap(), 0);
    app.register("paypal").await.assert_error(400, "Username already exists");
    app.register("Adrnin1").await.assert_status(201);
    assert_eq!(app.count("users WHERE NOT skeleton_guarded"), 4);
    app.damages_its_books();
}

#[rstest]
#[actix_web::test]
async fn of_simultaneous_registrations_of_names_that_look_alike_one_succeeds(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for round in 0..5 {
        let names = [("o", "o"), ("0", "o"), ("o", "0"), ("0", "0")];
        let names: Vec<_> = names.iter().map(|(one, other)| format!("r{one}{other}t-{round}")).collect();
        let answers = join_all(names.iter().map(|name| app.register(name))).await;
        let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 400, 400, 400]);
        assert!(answers.iter().filter(|a| a.status == 400).all(|a| a.error() == "Username already exists"));
    }
}

/// Another node has added a name, and has not committed it yet. The look-up cannot see it.
#[actix_web::test]
async fn a_name_that_another_node_is_adding_is_found_when_it_has_been_added() {
    let Some(app) = TestApp::spawn(On::Postgres).await else { return };
    let mut node = raw(On::Postgres, app.database().url());
    node.batch_execute(
        "BEGIN;
         INSERT INTO users (username, username_canonical, password, tokens, date_joined, username_skeleton,
                            skeleton_guarded)
         VALUES ('root', 'root', '!', 0, '2020-01-01 00:00:00', 'root', TRUE)",
    )
    .unwrap();
    let other = async {
        eventually("the registration to wait", async || app.count("pg_locks WHERE NOT granted") > 0).await;
        node.batch_execute("COMMIT").unwrap();
    };
    let (answer, ()) = futures_util::join!(app.register("r00t"), other);
    answer.assert_error(400, "Username already exists");
    assert_eq!(app.count("users"), 1);
    app.damages_its_books();
}

/// A node of 0.1.0 does not know what names look like.
#[actix_web::test]
async fn a_rename_by_an_older_node_frees_the_old_name() {
    let Some(app) = TestApp::spawn(On::Postgres).await else { return };
    app.user("ada").await;
    app.sql("UPDATE users SET username = 'eve', username_canonical = 'eve' WHERE username = 'ada'");
    assert_eq!(app.count("users WHERE username_skeleton IS NULL AND NOT skeleton_guarded"), 1);
    app.register("ada").await.assert_status(201);
}
