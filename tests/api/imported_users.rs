//! Users from a Django database: their passwords and names follow Django's rules.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::TestApp;

const PASSWORD: &str = "correct horse";

/// Made by Django 5.2.19 from [`PASSWORD`], at low costs. The unit tests of the hashes have more.
const HASHES: [(&str, &str); 6] = [
    ("pbkdf2", "pbkdf2_sha256$1000$5By61V7XgGTqtQX9JRyJhB$ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8="),
    (
        "argon2",
        "argon2$argon2id$v=19$m=1024,t=2,p=2$OUdPaU51dWNDOWRJd2tGdzloeGVLSw$CaZyluXNsFBHkN191ADIJnIxIaHAGWePQPTUTaJrjCA",
    ),
    (
        "scrypt",
        "scrypt$1024$lwJTzn3y5kTP7j0nNIlZmi$8$2$YvuD2QM+StPswTyl4OfdaR3Kwc3+NQE0NRZXBO+Z0+95+JHWF+4CTVQEZ2rao7nAYEdemqzKtIfYphW0IJf86Q==",
    ),
    ("bcrypt", "bcrypt$$2b$04$NPtj0ig8xz5Wg8whtXk4Nu5FSmFGTrs.1vZoIq08QssqBr52adfi."),
    ("cheap", "bcrypt_sha256$$2b$04$xVhoRsZd/E.R2tT65LbDaeJigbCtxsSKv.qfN8rGIFkCraUJ54cS6"),
    ("costly", "bcrypt_sha256$$2b$06$dZytczdLKoi65IvPPL3Hv.gJJN/uMYFdSSFF44uO1rbzd6GNa92Ne"),
];

/// Inserts a user as an import does: with a balance and its opening entry.
fn import(app: &TestApp, name: &str, canonical: &str, hash: &str) {
    let quoted = |text: &str| text.replace('\'', "''");
    let (name, canonical) = (quoted(name), quoted(canonical));
    app.sql(&format!(
        "INSERT INTO users (username, username_canonical, password, tokens, date_joined)
         VALUES ('{name}', '{canonical}', '{hash}', 700, '2019-05-04 03:02:01')"
    ));
    let operation = match app.database().on() {
        On::Sqlite => "randomblob(16)",
        On::Postgres => "decode(md5(random()::text), 'hex')",
    };
    app.sql(&format!(
        "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, note, operation_id, created_at)
         SELECT id, 700, 700, 'opening', '', {operation}, date_joined FROM users WHERE username = '{name}'"
    ));
}

fn stored(app: &TestApp, name: &str) -> String {
    app.text(&format!("SELECT password AS value FROM users WHERE username = '{name}'")).unwrap()
}

#[rstest]
#[actix_web::test]
async fn an_imported_password_logs_in_and_is_upgraded_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--bcrypt-cost", "5"]).await else { return };
    for (name, hash) in HASHES {
        import(&app, name, name, hash);
        app.log_in(name, "correct hors").await.assert_error(400, "Invalid password");
        assert_eq!(stored(&app, name), hash, "a failed login changes nothing");
        let answer = app.log_in(name, PASSWORD).await;
        answer.assert_status(200);
        assert_eq!(app.balance(answer.json()["token"].as_str().unwrap()).await, 700);
        let upgraded = stored(&app, name);
        if name == "costly" {
            assert_eq!(upgraded, hash, "a costlier hash is left alone");
        } else {
            assert!(upgraded.starts_with("bcrypt_sha256$$2b$05$"), "{name}: {upgraded}");
        }
        app.log_in(name, "correct hors").await.assert_error(400, "Invalid password");
        app.log_in(name, PASSWORD).await.assert_status(200);
        assert_eq!(stored(&app, name), upgraded, "{name}: once is enough");
    }
}

#[rstest]
#[actix_web::test]
async fn imported_users_log_in_with_names_that_registration_refuses(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (long, hash) = ("x".repeat(150), HASHES[3].1);
    let names = ["Old Name", "o'brien/ops", "tab\there", "<b>bold</b>", "  padded  ", "\u{1F511}", &long];
    for name in names {
        import(&app, name, &name.to_lowercase(), hash);
        if name.trim() == name {
            app.register(name).await.assert_error(400, "Invalid username or password");
        }
        let answer = app.log_in(name, PASSWORD).await;
        answer.assert_status(200);
        let me = app.get("/me/", answer.json()["token"].as_str().unwrap()).await.json();
        assert_eq!((&me["username"], &me["tokens"]), (&json!(name), &json!(700)));
    }
    app.log_in("OLD NAME", PASSWORD).await.assert_status(200);
}

/// Django distinguishes `Ada` from `ada`. An import keeps the second one's own spelling as its
/// canonical form.
#[rstest]
#[actix_web::test]
async fn imported_names_that_differ_only_in_case_log_in_to_their_own_accounts(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    import(&app, "ada", "ada", HASHES[3].1);
    import(&app, "Ada", "Ada", HASHES[5].1);
    for name in ["ada", "Ada"] {
        let answer = app.log_in(name, PASSWORD).await;
        let me = app.get("/me/", answer.json()["token"].as_str().unwrap()).await.json();
        assert_eq!(me["username"], name);
    }
    let answer = app.log_in("ADA", PASSWORD).await;
    let me = app.get("/me/", answer.json()["token"].as_str().unwrap()).await.json();
    assert_eq!(me["username"], "ada", "other spellings belong to the canonical name");
    app.register("Ada").await.assert_error(400, "Username already exists");
}

/// bcrypt itself stops at 72 bytes. The old services accepted longer passwords, and their hashes
/// must still verify.
#[rstest]
#[actix_web::test]
async fn every_byte_of_a_password_counts_up_to_1024(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let longest = "é".repeat(511) + "xy";
    let body = json!({ "username": "ada", "password": longest });
    app.post("/register/", "", body).await.assert_status(201);
    app.log_in("ada", &longest).await.assert_status(200);
    let other_end = "é".repeat(511) + "xz";
    for wrong in [other_end, longest[..1022].to_owned(), format!("{longest}z")] {
        app.log_in("ada", &wrong).await.assert_error(400, "Invalid password");
    }
}
