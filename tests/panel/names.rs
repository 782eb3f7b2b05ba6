//! Names: those that look like others, those that look like ids, and secrets in the place of names.

use rstest::rstest;
use tollgate::administration::finish_all;
use tollgate::auth::fill_skeletons;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

#[rstest]
#[actix_web::test]
async fn lists_mark_names_that_look_alike(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    for name in ["ada", "paypal", "bob", "carol", "eve"] {
        app.register(name).await.assert_status(201);
    }
    // These names came from an older version or an import.
    for (name, other) in [("bob", "r00t"), ("carol", "p\u{430}ypal"), ("eve", "m\u{438}x")] {
        app.sql(&format!(
            "UPDATE users SET username = '{other}', username_canonical = '{other}', username_skeleton = NULL,
                              skeleton_guarded = FALSE
             WHERE username = '{name}'"
        ));
    }
    root.get("/admin/users/").await.assert_hides(&["looks like"]).assert_shows(&["mixed scripts"]);
    assert_eq!(fill_skeletons(&app.services.db).await.unwrap(), 3);
    let shown = root.get("/admin/users/").await;
    shown.assert_shows(&[
        "r00t looks like \u{2068}root\u{2069}",
        "root looks like \u{2068}r00t\u{2069}",
        "p\u{430}ypal looks like \u{2068}paypal\u{2069}",
        "m\u{438}x mixed scripts",
    ]);
    shown.assert_hides(&["ada looks like", "ada mixed"]);
    let page = root.get(&format!("/admin/users/{}/", app.id_of("r00t"))).await;
    page.assert_shows(&["looks like \u{2068}root\u{2069}"]);

    // They keep their names, also if something else about them is changed.
    let edit = format!("/admin/users/{}/edit/", app.id_of("p\u{430}ypal"));
    root.submit(&edit, &[("staff", "1"), ("own_password", PASSWORD)]).await.assert_status(303);
    let form = root.get(&edit).await.form().without("staff");
    root.send(&form).await.assert_status(303);
    // A new name obeys the rules for new names.
    for (name, why) in [
        ("paypaI", "looks like one that is"),
        ("PAYPAL", "looks like one that is"),
        ("\u{430}da", "the letters of one script"),
        ("-p", "something else than -"),
    ] {
        let form = root.get(&edit).await.form().with(&[("username", name)]);
        root.send(&form).await.assert_status(400).assert_shows(&[why]);
    }
    let form = root.get(&edit).await.form().with(&[("username", "  Pal ")]);
    root.send(&form).await.assert_status(303);
    app.register("paI").await.assert_error(400, "Username already exists");
    app.register("p0ypal").await.assert_status(201);
}

#[rstest]
#[actix_web::test]
async fn an_anonymous_name_may_look_like_another_name(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.register("eve").await.assert_status(201);
    let id = app.id_of("eve");
    app.register(&format!("anonymous-{id}").replace('o', "0")).await.assert_status(201);
    let page = format!("/admin/users/{id}/anonymise/");
    root.submit(&page, &[("name", "eve")]).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    assert_eq!(app.id_of(&format!("anonymous-{id}")), id);
    app.register("eve").await.assert_status(201);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_number_is_an_id_only_with_one_number_sign(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.register("ada").await.assert_status(201);
    let id = app.id_of("ada");
    let before = app.count("auth_tokens");
    let make = async |user: &str| {
        let fields = [("user", user), ("name", "a script"), ("own_password", PASSWORD)];
        root.submit("/admin/auth-tokens/add/", &fields).await
    };
    for user in [
        id.to_string(),
        format!("0{id}"),
        format!("+{id}"),
        format!("##{id}"),
        format!("#0{id}"),
        format!("#+{id}"),
        "#".to_owned(),
    ] {
        make(&user).await.assert_shows(&["There is no such user"]);
        let quoted: String = url::form_urlencoded::byte_serialize(user.as_bytes()).collect();
        let list = root.get(&format!("/admin/auth-tokens/?user={quoted}")).await;
        list.assert_shows(&[&format!("{user} (unknown)")]);
    }
    assert_eq!(app.count("auth_tokens"), before);
    make(&format!("#{id}")).await.assert_status(201).assert_shows(&["an auth token for ada"]);
    // A name may consist of digits.
    app.register(&id.to_string()).await.assert_status(201);
    make(&id.to_string()).await.assert_status(201).assert_shows(&[&format!("an auth token for {id}")]);
    assert_eq!(app.count("auth_tokens"), before + 2);
}

#[rstest]
#[actix_web::test]
async fn an_auth_token_in_an_address_is_cut_to_its_first_characters(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let token = app.user("ada").await;
    for path in [
        "/admin/search/",
        "/admin/users/",
        "/admin/chats/",
        "/admin/auth-tokens/",
        "/admin/ledger/",
        "/admin/history/",
        "/admin/users/suggest/",
    ] {
        let answer = root.get(&format!("{path}?sort=id&q=+{token}+b%26c")).await;
        answer.assert_status(303);
        assert_eq!(answer.location(), format!("{path}?sort=id&q=+{}+b%26c", &token[..10]));
        let answer = Browser::guest(&app).get(&format!("{path}?q={token}")).await;
        assert_eq!(answer.location(), format!("{path}?q={}", &token[..10]), "before the way to sign in");
        root.get(&format!("{path}?q={}", &token[..10])).await.assert_status(200);
    }
    let listed = root.get(&format!("/admin/auth-tokens/?q={token}")).await;
    root.follow(&listed).await.assert_shows(&[&token[..10], "ada"]);
}

#[rstest]
#[actix_web::test]
async fn texts_of_one_line_show_something_and_do_not_turn_others_around(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let token = app.user("ada").await;
    let (turned, invisible) = ("\u{202E}a gift\u{2066} \u{200F}", "\u{200B}\u{2060}");
    let named = app.post("/auth-tokens/", &token, serde_json::json!({ "name": turned })).await;
    assert_eq!(named.json()["name"], "a gift");
    let named = app.post("/auth-tokens/", &token, serde_json::json!({ "name": invisible })).await;
    named.assert_error(400, "Invalid name");
    let titled = app.post("/conversations/", &token, serde_json::json!({ "title": turned })).await;
    assert_eq!(titled.json()["title"], "a gift");
    let titled = app.post("/conversations/", &token, serde_json::json!({ "title": invisible })).await;
    titled.assert_error(400, "Invalid title");
    let adjust = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    root.submit(&adjust, &[("amount", "5"), ("reason", invisible)]).await.assert_shows(&["Enter a reason"]);
    root.submit(&adjust, &[("amount", "5"), ("reason", turned)]).await.assert_status(303);
    assert_eq!(app.count("ledger_entries WHERE note = 'a gift'"), 1);
    // What others wrote is isolated where it is shown.
    app.chat(&token, "\u{202E}turned").await.assert_status(201);
    let user = root.get(&format!("/admin/users/{}/", app.id_of("ada"))).await.html();
    for text in ["ada", "a gift", "\u{202E}turned"] {
        assert!(user.contains(&format!(">{text}</bdi>")), "{text:?} in {user}");
    }
}
