//! A server with at least one of everything that the panel shows.

use crate::support::app::TestApp;
use crate::support::panel::Browser;

/// Ids for the pages of the panel.
pub struct World {
    pub user: i64,
    pub auth_token: i64,
    pub chat: i64,
    pub hold: i64,
    pub bulk: i64,
    pub model: i64,
}

/// Makes a user, ada, with an auth token, a chat and a hold, a superuser `name` who has given her 5
/// tokens in bulk, and a model. Returns the ids and the superuser's browser.
pub async fn furnish<'a>(app: &'a TestApp, name: &str) -> (World, Browser<'a>) {
    let token = app.user("ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let hold = app.hold(&token).await;
    app.catch_up().await;
    let root = app.superuser(name).await;
    app.catch_up().await;
    let user = app.id_of("ada");
    let form = root.get("/admin/users/").await.form().tick("id", user).with(&[("amount", "5")]);
    let form = root.send(&form).await.form().with(&[("reason", "a gift")]);
    root.send(&form).await.assert_status(303);
    tollgate::administration::finish_all(&app.services.db).await.unwrap();
    app.sql("INSERT INTO models (name) VALUES ('small-1')");
    let world = World {
        user,
        auth_token: app.number("SELECT max(id) AS value FROM auth_tokens"),
        chat: app.number("SELECT min(id) AS value FROM chats"),
        hold,
        bulk: app.number("SELECT max(id) AS value FROM bulk_operations"),
        model: app.number("SELECT max(id) AS value FROM models"),
    };
    (world, root)
}
