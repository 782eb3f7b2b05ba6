//! When two administrators edit the same thing at once, no change is lost.

use rstest::rstest;
use tollgate::models::{AuthTokenChanges, Editable, ModelChanges, UserChanges, UserLimits};

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

/// Returns two browsers of a superuser, and the path of the page that edits the user ada.
async fn two_browsers<'a>(app: &'a TestApp) -> (Browser<'a>, Browser<'a>, String) {
    let one = app.superuser("root").await;
    let other = Browser::signed_in(app, "root").await;
    (one, other, format!("/admin/users/{}/edit/", app.id_of("ada")))
}

/// Returns the name and the rights of user 1.
fn user(app: &TestApp) -> String {
    let row = "SELECT username || CASE WHEN is_active THEN ' active' ELSE '' END || CASE WHEN is_staff THEN ' staff' ELSE '' END
               AS value FROM users WHERE id = 1";
    app.text(row).unwrap()
}

#[rstest]
#[actix_web::test]
async fn the_second_of_two_edits_of_a_user_shows_field_by_field_what_the_first_changed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let (one, other, edit) = two_browsers(&app).await;
    let slow = one.get(&edit).await.form().with(&[("username", "ada.lovelace")]);
    other.submit(&edit, &[("staff", "1"), ("own_password", PASSWORD)]).await.assert_status(303);
    let page = one.send(&slow).await;
    page.assert_status(409).assert_shows(&[
        "Somebody else changed this while you were editing",
        "Username ada ada.lovelace",
        "Staff yes no",
        "Nothing was saved",
    ]);
    page.assert_hides(&["<th scope=\"row\">Active</th>"]);
    assert_eq!(user(&app), "ada active staff");
    assert_eq!(page.form().field("username"), Some("ada.lovelace"), "the input is kept");
    // Sending that page again is meant to overwrite.
    one.send(&page.form()).await.assert_status(303);
    assert_eq!(user(&app), "ada.lovelace active");
    assert_eq!(app.count("audit_log WHERE action = 'change'"), 2);
}

#[rstest]
#[actix_web::test]
async fn a_form_corrected_after_a_fault_still_finds_the_conflict(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let (one, other, edit) = two_browsers(&app).await;
    let slow = one.get(&edit).await.form();
    other.submit(&edit, &[("staff", "1"), ("own_password", PASSWORD)]).await.assert_status(303);
    let faulty = one.send(&slow.with(&[("username", "a b")])).await;
    faulty.assert_status(400);
    let corrected = one.send(&faulty.form().with(&[("username", "ada2")])).await;
    corrected.assert_status(409).assert_shows(&["Staff yes no"]);
    assert_eq!(user(&app), "ada active staff");

    let page = auth_token(&app);
    let slow = one.get(&page).await.form();
    other.submit(&page, &[("name", "theirs")]).await.assert_status(303);
    let faulty = one.send(&slow.with(&[("expires", "tomorrow")])).await;
    faulty.assert_status(400);
    let corrected = one.send(&faulty.form().with(&[("expires", "2099-01-31T12:00")])).await;
    corrected.assert_status(409).assert_shows(&["Name theirs"]);
    assert_eq!(app.count("auth_tokens WHERE name = 'theirs' AND expires_at IS NULL"), 1);
    assert_eq!(app.balance(&token).await, 4000);
}

fn auth_token(app: &TestApp) -> String {
    format!("/admin/auth-tokens/{}/", app.number("SELECT min(id) AS value FROM auth_tokens"))
}

#[rstest]
#[actix_web::test]
async fn a_debit_while_a_form_is_open_does_not_conflict(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let (one, other, edit) = two_browsers(&app).await;
    let (form, page) = (one.get(&edit).await.form(), auth_token(&app));
    let token_form = one.get(&page).await.form();
    app.chat(&token, "Hello").await.assert_status(201);
    app.services.auth.write_last_uses().await;
    let adjust = edit.replace("edit", "adjust");
    other.submit(&adjust, &[("amount", "5"), ("reason", "a gift")]).await.assert_status(303);
    one.send(&form.with(&[("username", "ada2")])).await.assert_status(303);
    one.send(&token_form.with(&[("name", "mine")])).await.assert_status(303);
    assert_eq!(user(&app), "ada2 active");
    assert_eq!(app.balance(&token).await, 3905);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_second_of_two_edits_of_an_auth_token_shows_what_the_first_changed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let (one, other, _) = two_browsers(&app).await;
    let page = auth_token(&app);
    let slow = one.get(&page).await.form().with(&[("name", "mine")]);
    let theirs = [("name", "theirs"), ("expires", "2099-01-31T12:00")];
    other.submit(&page, &theirs).await.assert_status(303);
    let conflict = one.send(&slow).await;
    conflict.assert_status(409).assert_shows(&["Name theirs mine", "Expires 2099-01-31 12:00 never"]);
    assert_eq!(app.count("auth_tokens WHERE name = 'theirs'"), 1);
    one.send(&conflict.form()).await.assert_status(303);
    assert_eq!(app.count("auth_tokens WHERE name = 'mine' AND expires_at IS NULL"), 1);

    let slow = one.get(&page).await.form().with(&[("name", "late")]);
    other.submit(&format!("{page}revoke/"), &[]).await.assert_status(303);
    one.send(&slow).await.assert_status(409).assert_shows(&["can no longer be changed"]);
    assert_eq!(app.count("auth_tokens WHERE name = 'late'"), 0);
}

#[rstest]
#[actix_web::test]
async fn two_equal_edits_do_not_conflict(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let (one, other, edit) = two_browsers(&app).await;
    let slow = one.get(&edit).await.form().with(&[("staff", "1"), ("own_password", PASSWORD)]);
    other.submit(&edit, &[("staff", "1"), ("own_password", PASSWORD)]).await.assert_status(303);
    let done = one.send(&slow).await;
    one.follow(&done).await.assert_shows(&["No changes to save."]);
    assert_eq!(app.count("audit_log WHERE action = 'change'"), 1);
}

#[rstest]
#[actix_web::test]
async fn superusers_keep_their_own_rights_and_one_always_remains(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}", app.id_of("root"));
    for field in ["superuser", "active"] {
        let form = root.get(&format!("{user}/edit/")).await.form().without(field);
        root.send(&form).await.assert_status(400).assert_shows(&["You cannot remove your own rights"]);
    }
    let deactivate = root.submit(&format!("{user}/deactivate/"), &[]).await;
    deactivate.assert_status(409).assert_shows(&["You cannot remove your own rights"]);
    let boss = app.superuser("boss").await;
    // If two superusers demote each other at the same moment, one of them remains.
    let other = format!("/admin/users/{}/edit/", app.id_of("boss"));
    let mine = root.get(&other).await.form().without("superuser");
    let theirs = boss.get(&format!("{user}/edit/")).await.form().without("superuser");
    let (mine, theirs) =
        futures_util::join!(root.form_request(&mine).send(), boss.form_request(&theirs).send());
    assert_eq!(app.count("users WHERE is_superuser AND is_active"), 1, "{} {}", mine.status, theirs.status);
}

fn names<E: Editable>() -> Vec<&'static str> {
    E::FIELDS.iter().map(|field| field.name).collect()
}

/// A conflict shows a field's label and input, so the field must be in the form.
#[actix_web::test]
async fn every_editable_field_is_in_the_form_of_its_page() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    app.user("ada").await;
    app.sql("INSERT INTO models (name) VALUES ('small-1')");
    let root = app.superuser("root").await;
    for (page, names) in [
        ("/admin/users/1/edit/", names::<UserChanges>()),
        ("/admin/users/1/limits/", names::<UserLimits>()),
        ("/admin/models/1/", names::<ModelChanges>()),
        ("/admin/auth-tokens/1/", names::<AuthTokenChanges>()),
    ] {
        let html = root.get(page).await.html();
        assert!(!names.is_empty());
        for name in names {
            assert!(html.contains(&format!("name=\"{name}\"")), "{page} has no field {name}");
        }
    }
}
