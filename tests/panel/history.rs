//! The history records every action in the same transaction, and nothing that was not done.

use rstest::rstest;

use super::forgery::books;
use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::Form;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

const NEW: &str = "another fine phrase 8";

/// Returns the latest entry without its time: actor, action, object, user, address, reason,
/// changes.
#[track_caller]
fn latest(app: &TestApp) -> String {
    let row = "SELECT coalesce(CAST(actor_id AS TEXT), '-') || ' ' || action || ' ' || object_kind || ' ' ||
                      CAST(object_id AS TEXT) || ' of ' || coalesce(CAST(user_id AS TEXT), '-') || ' from ' || address ||
                      ' (' || note || ') ' || changes AS value
               FROM audit_log ORDER BY id DESC LIMIT 1";
    app.text(row).unwrap()
}

fn change(field: &str, before: &str, after: &str) -> String {
    format!(r#"{{"field":"{field}","before":"{before}","after":"{after}"}}"#)
}

#[rstest]
#[actix_web::test]
async fn each_action_is_recorded_with_actor_address_reason_and_fields(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, _) = furnish(&app, "root").await;
    let root = Browser::signed_in(&app, "root").await;
    let me = app.id_of("root");
    let (user, chat, hold) = (world.user, world.chat, world.hold);
    assert_eq!(latest(&app), format!("{me} sign_in user {me} of {me} from 127.0.0.1 () []"));
    let page = |rest: &str| format!("/admin/users/{user}/{rest}/");
    root.submit(&page("edit"), &[("username", "ada2"), ("staff", "1"), ("own_password", PASSWORD)])
        .await
        .assert_status(303);
    let fields = [change("username", "ada", "ada2"), change("staff", "no", "yes")].join(",");
    assert_eq!(latest(&app), format!("{me} change user {user} of {user} from 127.0.0.1 () [{fields}]"));
    root.submit(&page("adjust"), &[("amount", "5"), ("reason", "a gift")]).await.assert_status(303);
    let fields = change("tokens", "3805", "3810");
    assert_eq!(latest(&app), format!("{me} adjust user {user} of {user} from 127.0.0.1 (a gift) [{fields}]"));
    root.submit(&format!("/admin/chats/{chat}/refund/"), &[("reason", "sorry")]).await.assert_status(303);
    let fields = change("tokens", "3810", "3910");
    assert_eq!(latest(&app), format!("{me} refund chat {chat} of {user} from 127.0.0.1 (sorry) [{fields}]"));
    root.submit(&format!("/admin/chats/{hold}/release/"), &[("reason", "it hangs")]).await.assert_status(303);
    let fields = [change("state", "pending", "failed"), change("tokens", "3910", "4010")].join(",");
    assert_eq!(
        latest(&app),
        format!("{me} release chat {hold} of {user} from 127.0.0.1 (it hangs) [{fields}]")
    );
    let token = format!("/admin/auth-tokens/{}/", world.auth_token);
    root.submit(&token, &[("name", "script")]).await.assert_status(303);
    let fields = change("name", "", "script");
    let about = format!("auth_token {} of {user} from 127.0.0.1 ()", world.auth_token);
    assert_eq!(latest(&app), format!("{me} change {about} [{fields}]"));
    root.submit(&format!("{token}revoke/"), &[]).await.assert_status(303);
    let revoked = format!("{me} revoke {about} [{{\"field\":\"revoked\"");
    assert!(latest(&app).starts_with(&revoked), "{}", latest(&app));
    let fields = [("user", "ada2"), ("name", "other"), ("own_password", PASSWORD)];
    root.submit("/admin/auth-tokens/add/", &fields).await.assert_status(201);
    assert!(latest(&app).contains(&change("name", "", "other")), "{}", latest(&app));
    let passwords = [("password", NEW), ("again", NEW), ("own_password", PASSWORD)];
    root.submit(&page("password"), &passwords).await.assert_status(303);
    assert_eq!(latest(&app), format!("{me} set_password user {user} of {user} from 127.0.0.1 () []"));
    root.submit(&page("deactivate"), &[]).await.assert_status(303);
    let fields = change("active", "yes", "no");
    assert_eq!(latest(&app), format!("{me} deactivate user {user} of {user} from 127.0.0.1 () [{fields}]"));
    root.submit(&page("reactivate"), &[]).await.assert_status(303);
    let fields = change("active", "no", "yes");
    assert_eq!(latest(&app), format!("{me} reactivate user {user} of {user} from 127.0.0.1 () [{fields}]"));
    app.log_in("ada2", NEW).await.assert_status(200);
    root.submit(&page("log-out"), &[]).await.assert_status(303);
    let fields = [change("auth_tokens_revoked", "", "1"), change("sessions_ended", "", "0")].join(",");
    assert_eq!(
        latest(&app),
        format!("{me} log_out_everywhere user {user} of {user} from 127.0.0.1 () [{fields}]")
    );
    // The entries are shown on the page of the user, on that of the object, and in the list.
    for path in [page("history"), "/admin/history/".to_owned(), format!("/admin/users/{user}/")] {
        root.get(&path).await.assert_shows(&["logged out everywhere", "root", "127.0.0.1"]);
    }
    let history = root.get(&format!("/admin/chats/{chat}/history/")).await;
    history.assert_shows(&["root refunded: chat", "sorry", "tokens: before 3,810", "after 3,910"]);
    assert_eq!(app.count("audit_log WHERE changes LIKE '%bcrypt%'"), 0, "the history contains a hash");
}

#[rstest]
#[actix_web::test]
async fn rejected_forms_leave_no_trace(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    app.register("bob").await.assert_status(201);
    let before = books(&app);
    for (path, fields, status) in [
        (format!("/admin/users/{}/adjust/", world.user), [("amount", "-5000"), ("reason", "x")], 400),
        (format!("/admin/users/{}/adjust/", world.user), [("amount", "5"), ("reason", "")], 400),
        (format!("/admin/users/{}/edit/", world.user), [("username", "BOB"), ("staff", "1")], 400),
        (format!("/admin/users/{}/password/", world.user), [("password", "short"), ("again", "short")], 400),
        (format!("/admin/users/{}/password/", world.user), [("password", PASSWORD), ("again", "x")], 400),
        (format!("/admin/chats/{}/release/", world.chat), [("reason", "x"), ("x", "x")], 409),
        (format!("/admin/chats/{}/refund/", world.hold), [("reason", "x"), ("x", "x")], 409),
        ("/admin/auth-tokens/add/".to_owned(), [("user", "nobody"), ("name", "x")], 400),
        ("/admin/users/add/".to_owned(), [("username", "bob"), ("password", PASSWORD)], 400),
        ("/admin/password/".to_owned(), [("old_password", "wrong"), ("password", PASSWORD)], 400),
    ] {
        root.submit(&path, &fields).await.assert_status(status);
    }
    assert_eq!(books(&app), before);
}

const REFUSE_ON_SQLITE: &str =
    "CREATE TRIGGER refuse BEFORE INSERT ON audit_log BEGIN SELECT raise(ABORT, 'no'); END";
const REFUSE_ON_POSTGRES: &str = "
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END; $$;
    CREATE TRIGGER refuse BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION refuse()";

/// A change and its entry in the history are one transaction.
#[rstest]
#[actix_web::test]
async fn a_change_that_cannot_be_recorded_is_not_made(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let page = |rest: &str| format!("/admin/users/{}/{rest}/", world.user);
    let mut forms: Vec<Form> = Vec::new();
    for (path, fields) in [
        (page("edit"), vec![("username", "ada2"), ("staff", "1"), ("own_password", PASSWORD)]),
        (page("adjust"), vec![("amount", "5"), ("reason", "x")]),
        (page("password"), vec![("password", NEW), ("again", NEW)]),
        (page("deactivate"), vec![]),
        (page("limits"), vec![("concurrent_chats", "1")]),
        (format!("/admin/models/{}/", world.model), vec![("withdrawn", "1")]),
        (page("log-out"), vec![]),
        (format!("/admin/chats/{}/refund/", world.chat), vec![("reason", "x")]),
        (format!("/admin/chats/{}/release/", world.hold), vec![("reason", "x")]),
        (format!("/admin/auth-tokens/{}/", world.auth_token), vec![("name", "x")]),
        (format!("/admin/auth-tokens/{}/revoke/", world.auth_token), vec![]),
        ("/admin/auth-tokens/add/".to_owned(), vec![("user", "ada"), ("name", "x")]),
        (
            "/admin/users/add/".to_owned(),
            vec![("username", "new"), ("password", PASSWORD), ("again", PASSWORD)],
        ),
    ] {
        forms.push(root.get(&path).await.form().with(&fields));
    }
    let before = books(&app);
    app.sql(if on == On::Sqlite { REFUSE_ON_SQLITE } else { REFUSE_ON_POSTGRES });
    for form in &forms {
        let answer = root.send(form).await;
        assert!(answer.status() >= 500, "{}: {} {}", form.action, answer.status(), answer.text());
        assert_eq!(books(&app), before, "{}", form.action);
    }
    Browser::guest(&app).sign_in("root").await.assert_hides(&["Sign out"]);
    assert_eq!(books(&app), before);
    app.assert_sound();
}
