//! The chart on a user's page: tokens spent per day.

use rstest::rstest;
use tollgate::clock;

use crate::support::On;
use crate::support::app::TestApp;

#[rstest]
#[actix_web::test]
async fn a_users_page_has_a_chart_of_what_the_user_spent(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    let page = format!("{user}?tab=statement");
    root.get(&page).await.assert_hides(&["Tokens spent per day"]);
    for token in [&ada, &ada, &ada, &bob] {
        app.chat(token, "Hello").await.assert_status(201);
    }
    let refunded = app.number("SELECT min(id) AS value FROM chats");
    root.submit(&format!("/admin/chats/{refunded}/refund/"), &[("reason", "sorry")]).await.assert_status(303);
    root.submit(&format!("{user}adjust/"), &[("amount", "70"), ("reason", "a gift")])
        .await
        .assert_status(303);
    let shown = root.get(&page).await;
    shown.assert_shows(&["Tokens spent per day in 30 days: 200 in all"]);
    let today = clock::now().date().to_string();
    let href = format!(
        "/admin/ledger/?user=%23{}&kind=chats&sums=1&date_from={today}&date_to={today}",
        app.id_of("ada")
    );
    assert!(shown.links().contains(&href), "{:?}", shown.links());
    root.get(&href).await.assert_shows(&["Net −200"]);
    app.assert_sound();
}
