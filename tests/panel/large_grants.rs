//! An absurdly large grant must be typed twice.

use rstest::rstest;

use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::server::PASSWORD;

const HUGE: &str = "9,000,000,000,000,000";
const WARNING: &str =
    "That is 9 quadrillion tokens, 2.25 trillion times the opening balance. Type the amount again.";

#[rstest]
#[actix_web::test]
async fn a_large_grant_is_made_only_after_the_amount_was_typed_twice(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let path = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    // The limit itself, and any amount below it, need no confirmation.
    root.submit(&path, &[("amount", "400000"), ("reason", "much")]).await.assert_status(303);
    let asked = root.submit(&path, &[("amount", HUGE), ("reason", "a slip")]).await;
    asked.assert_status(400).assert_shows(&["Amount again", WARNING]);
    let form = asked.form();
    assert_eq!((form.field("amount"), form.field("reason")), (Some(HUGE), Some("a slip")));
    let differs = root.send(&form.clone().with(&[("amount_again", "900")])).await;
    differs.assert_status(400).assert_shows(&["The two amounts differ."]);
    // All faults at once, and the second amount is kept.
    let both = root.send(&form.clone().with(&[("amount_again", HUGE), ("reason", "")])).await;
    both.assert_status(400).assert_shows(&["Enter a reason"]).assert_hides(&["Type the amount again"]);
    assert_eq!(both.form().field("amount_again"), Some(HUGE));
    assert_eq!(app.balance(&token).await, 404_000);
    root.send(&both.form().with(&[("reason", "meant")])).await.assert_status(303);
    assert_eq!(app.balance(&token).await, 9_000_000_000_404_000);
    // A small amount that replaces the large one needs nothing more, and neither does a removal.
    let asked = root.submit(&path, &[("amount", HUGE), ("reason", "a slip")]).await;
    root.send(&asked.form().with(&[("amount", "5")])).await.assert_status(303);
    root.submit(&path, &[("amount", "-9,000,000,000,000,000"), ("reason", "back")]).await.assert_status(303);
    assert_eq!(app.balance(&token).await, 404_005);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_large_grant_in_bulk_and_a_large_opening_balance_are_typed_twice(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let form = root.get("/admin/users/").await.form().tick("id", world.user);
    let bulk = root.send(&form).await.form().with(&[("amount", "5,000,000"), ("reason", "a slip")]);
    let asked = root.send(&bulk).await;
    asked.assert_status(400).assert_shows(&[
        "That is 5 million tokens, 1,250 times the opening balance. Type the amount again.",
        "1 user: +5,000,000 tokens.",
    ]);
    assert_eq!(app.count("bulk_operations"), 1, "only that of the fixture");
    root.send(&asked.form().with(&[("amount_again", "5000000")])).await.assert_status(303);
    tollgate::administration::finish_all(&app.services.db).await.unwrap();
    assert_eq!(app.count("ledger_entries WHERE amount = 5000000"), 1);
    let user = [("username", "eve"), ("password", PASSWORD), ("again", PASSWORD), ("tokens", HUGE)];
    let asked = root.submit("/admin/users/add/", &user).await;
    asked.assert_status(400).assert_shows(&["Amount again", WARNING]);
    assert_eq!(app.count("users WHERE username = 'eve'"), 0);
    let again = [("password", PASSWORD), ("again", PASSWORD), ("amount_again", HUGE)];
    root.send(&asked.form().with(&again)).await.assert_status(303);
    assert_eq!(app.count("users WHERE username = 'eve' AND tokens = 9000000000000000"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_setting_says_which_grant_is_large(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(("0", "1,000,000,000", false), ("10", "11", true), ("10", "10", false))] case: (
        &str,
        &str,
        bool,
    ),
) {
    let (limit, amount, is_large) = case;
    let Some(app) = TestApp::spawn_with(on, &["--large-grant", limit]).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let path = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let page = root.submit(&path, &[("amount", amount), ("reason", "a gift")]).await;
    page.assert_status(if is_large { 400 } else { 303 });
    if is_large {
        // It is less than the opening balance, so it is not compared with it.
        page.assert_shows(&["That is 11 tokens. Type the amount again."]);
    }
}
