//! Which names and passwords a new user may have. The parsers' unit tests cover each character.
//! These tests show that the rules apply before the database is reached, and that nothing bypasses
//! them.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{GUEST, TestApp};
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
    let odd = ["", " ", "a b", " a", "a ", "a/b", "a'b", "<b>", "a\0", "a\n", "a\u{200B}b", "a\u{202E}b"];
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
