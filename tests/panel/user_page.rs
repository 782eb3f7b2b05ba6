//! A user's page: whether the user can chat, the timeline, the tabs, and the form that adjusts the
//! balance.

use rstest::rstest;
use tollgate::administration::finish_all;

use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::{self, Form, Piece, column, pieces};
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

/// Returns the form in the column, which adjusts the balance.
fn inline_form(page: &Page) -> Option<Form> {
    page.posting_forms().into_iter().find(|form| form.action.ends_with("/adjust/"))
}

/// Returns the title of the browser's tab, without the name of the site.
fn title(page: &Page) -> String {
    let html = page.html();
    let (_, rest) = html.split_once("<title>").unwrap();
    rest.split("</title>").next().unwrap().trim_end_matches(" · Tollgate").to_owned()
}

/// Returns the text of each line of the timeline.
fn lines(page: &Page) -> Vec<String> {
    let page = page.html();
    let Some((_, rest)) = page.split_once("<ol class=\"activity\"") else { return Vec::new() };
    let list = rest.split("</ol>").next().unwrap();
    list.split("<li><time").skip(1).map(|line| html::text(&format!("<li><time{line}"))).collect()
}

#[rstest]
#[actix_web::test]
async fn the_page_says_whether_the_user_can_chat_and_the_server_agrees(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &["--throttle", "on"]).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    root.get(&user).await.assert_shows(&["Can chat: yes Spent"]);
    app.chat(&token, "Hello").await.assert_status(201);
    let adjust = async |amount: &str| {
        let page = root.submit(&format!("{user}adjust/"), &[("amount", amount), ("reason", "x")]).await;
        page.assert_status(303);
    };
    adjust("-3801").await;
    root.get(&user)
        .await
        .assert_shows(&["Can chat: no", "the balance is 99, and the cheapest message costs 100"]);
    app.chat(&token, "Hello").await.assert_error(400, "Insufficient tokens");
    adjust("1").await;
    root.get(&user).await.assert_shows(&["Can chat: yes Spent"]);
    app.chat(&token, "Hello").await.assert_status(201);
    adjust("1000").await;
    root.submit(&format!("{user}limits/"), &[("requests_per_minute", "0")]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["Can chat: no", "the limit is 0 requests a minute"]);
    let other = app.token("ada").await;
    app.chat(&other, "Hello").await.assert_status(429);
    root.submit(&format!("{user}limits/"), &[("requests_per_minute", "")]).await.assert_status(303);
    root.submit(&format!("{user}log-out/"), &[]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["Can chat: yes, after a login"]);
    app.chat(&token, "Hello").await.assert_status(401);
    app.log_in("ada", PASSWORD).await.assert_status(200);
    root.get(&user).await.assert_shows(&["Can chat: yes Spent"]);
    root.submit(&format!("{user}password/"), &[("unusable", "1")]).await.assert_status(303);
    let page = root.get(&user).await;
    page.assert_shows(&["Can chat: no", "there is no live auth token, and no password to log in with"]);
    root.get(&format!("{user}?tab=security")).await.assert_shows(&["None: password login is off."]);
    root.submit(&format!("{user}deactivate/"), &[]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["the user is deactivated", "there is no live auth token"]);
    app.log_in("ada", PASSWORD).await.assert_status(400);
}

#[rstest]
#[actix_web::test]
async fn pending_chats_keep_a_user_from_chatting_if_they_reach_the_limit(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &["--dummy-delay", "1"]).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    root.submit(&format!("{user}limits/"), &[("concurrent_chats", "2")]).await.assert_status(303);
    app.hold(&token).await;
    root.get(&user).await.assert_shows(&["Can chat: yes Spent", "Reserved 100"]);
    app.hold(&token).await;
    root.get(&user).await.assert_shows(&["Can chat: no", "2 of 2 chats at once are pending", "Reserved 200"]);
    app.chat(&token, "Hello").await.assert_status(429);
    root.submit(&format!("{user}limits/"), &[("concurrent_chats", "0")]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["the limit is 0 chats at once"]);
}

#[rstest]
#[actix_web::test]
async fn the_timeline_has_each_chat_adjustment_and_action_once_and_the_newest_first(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    let mut expected = vec!["opening".to_owned()];
    for number in 0..20 {
        app.chat(&token, &format!("message {number}.")).await.assert_status(201);
        expected.push(format!("message {number}."));
        if number % 3 == 0 {
            let fields = [("amount", "5"), ("reason", &*format!("reason {number}."))];
            root.submit(&format!("{user}adjust/"), &fields).await.assert_status(303);
            expected.push(format!("reason {number}."));
        }
        if number % 5 == 0 {
            let limit = (number + 1).to_string();
            let fields = [("requests_per_minute", limit.as_str())];
            root.submit(&format!("{user}limits/"), &fields).await.assert_status(303);
            expected.push(format!("after {limit}"));
        }
    }
    app.catch_up().await;
    expected.reverse();
    let mut page = root.get(&user).await;
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        seen.extend(lines(&page));
        pages += 1;
        assert!(pages < 20, "the timeline never ends");
        if !page.html().contains(">Older</a>") {
            break;
        }
        page = root.click(&page, "Older").await;
        page.assert_status(200).assert_shows(&["Newest"]);
    }
    assert_eq!(seen.len(), expected.len(), "{seen:#?}");
    for (line, part) in seen.iter().zip(&expected) {
        assert!(line.contains(part), "{line:?} should be about {part:?}: {seen:#?}");
    }
    assert!(seen.iter().any(|line| line.ends_with("message 3. \u{2212}100")), "{seen:#?}");
    assert!(seen.iter().any(|line| line.contains("adjustment by root: reason 3. +5")), "{seen:#?}");
    root.click(&page, "Newest").await.assert_shows(&["message 19."]);
    for place in ["x", "~~", "-1~0~99999999999999999999", "%00"] {
        root.get(&format!("{user}?older={place}")).await.assert_status(200);
    }
}

#[rstest]
#[actix_web::test]
async fn refunds_by_administrators_are_in_the_timeline_and_chats_show_their_net_cost(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat(&token, "Hello").await.assert_status(201);
    app.hold(&token).await;
    let chat = app.number("SELECT min(id) AS value FROM chats");
    root.submit(&format!("/admin/chats/{chat}/refund/"), &[("reason", "sorry")]).await.assert_status(303);
    app.catch_up().await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    let seen = lines(&root.get(&user).await);
    assert!(seen[0].contains(&format!("refund of #{chat} by root: sorry +100")), "{seen:#?}");
    assert!(seen[1].contains("pending") && seen[1].ends_with("100 held"), "{seen:#?}");
    assert!(seen[2].ends_with("Hello 0"), "{seen:#?}");
    let chats = root.get(&format!("{user}?tab=chats")).await;
    assert_eq!(column(&chats.html(), "Net cost"), ["100 held", "0"]);
    chats.assert_shows(&["Message"]);
    root.get(&user).await.assert_shows(&["Spent in 7 days 100", "Spent in 30 days 100"]);
}

#[rstest]
#[actix_web::test]
async fn what_was_spent_is_summed_by_days_and_over_a_bounded_number_of_entries(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.damages_its_books();
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    for _ in 0..3 {
        app.chat(&token, "Hello").await.assert_status(201);
    }
    let (id, ago) = (app.id_of("ada"), |days: u32| match on {
        On::Sqlite => format!("datetime('now', '-{days} days')"),
        On::Postgres => format!("(now() AT TIME ZONE 'UTC') - interval '{days} days'"),
    });
    app.sql(match on {
        On::Sqlite => "DROP TRIGGER ledger_entries_refuse_update",
        On::Postgres => "DROP TRIGGER ledger_entries_refuse_update ON ledger_entries",
    });
    let first = app.number("SELECT min(id) AS value FROM ledger_entries WHERE kind = 'charge'");
    app.sql(&format!("UPDATE ledger_entries SET created_at = {} WHERE id = {first}", ago(40)));
    app.sql(&format!("UPDATE ledger_entries SET created_at = {} WHERE id = {}", ago(10), first + 1));
    let user = format!("/admin/users/{id}/");
    root.get(&user).await.assert_shows(&["Spent in 7 days 100", "Spent in 30 days 200"]);
    // More entries than are summed.
    app.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001)
         INSERT INTO ledger_entries (user_id, amount, balance_after, kind, note, operation_id, created_at)
         SELECT {id}, -1, 3700 - i, 'adjustment', '', {}, {} FROM n",
        if on == On::Sqlite { "randomblob(16)" } else { "decode(md5(CAST(i AS TEXT)), 'hex')" },
        ago(0)
    ));
    root.get(&user).await.assert_shows(&["Spent in 7 days more than 0", "Spent in 30 days more than 0"]);
}

#[rstest]
#[actix_web::test]
async fn the_form_on_the_page_adjusts_the_balance_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    let form = inline_form(&root.get(&user).await).unwrap().with(&[("amount", "+500"), ("reason", "a gift")]);
    let done = root.send(&form).await;
    assert_eq!(done.location(), user);
    let page = root.follow(&done).await;
    page.assert_shows(&["ada now has 4,500 tokens (+500).", "adjustment by root: a gift +500"]);
    root.send(&form).await.assert_status(303);
    assert_eq!(app.balance(&token).await, 4500, "the same form acts once");
    // The message's button writes the counter-entry, once.
    let undo = page.undo_form();
    let undone = root.send(&undo).await;
    root.follow(&undone)
        .await
        .assert_shows(&["Undone: ada now has 4,000 tokens (−500).", "Undo: a gift −500"]);
    let again = root.send(&undo).await;
    root.follow(&again).await.assert_shows(&["This was undone before"]);
    assert_eq!(app.balance(&token).await, 4000);
    // Wrong input comes back, with its faults.
    let form = inline_form(&root.get(&user).await).unwrap().with(&[("amount", "much"), ("reason", "")]);
    let faults = root.send(&form).await;
    faults.assert_status(400).assert_shows(&["Enter a whole number of tokens", "Enter a reason"]);
    assert_eq!(faults.form().field("amount"), Some("much"));
    let form = inline_form(&root.get(&user).await).unwrap().with(&[("amount", "-9000"), ("reason", "x")]);
    root.send(&form).await.assert_status(400).assert_shows(&["it can go neither below 0"]);
    let form = inline_form(&root.get(&user).await).unwrap();
    let preview = root.send(&form.with(&[("amount", "-250"), ("reason", "x"), ("preview", "1")])).await;
    preview.assert_status(200).assert_shows(&["Balance now 4,000", "Balance after 3,750"]);
    assert_eq!(app.balance(&token).await, 4000);
    let staff = app.staff("grace").await;
    assert!(inline_form(&staff.get(&user).await).is_none(), "staff may change nothing");
}

#[rstest]
#[actix_web::test]
async fn each_tab_shows_its_part_and_keeps_the_way_back_to_the_list(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    app.catch_up().await;
    let user = format!("/admin/users/{}/", world.user);
    let list = "?list=q%3Dada%26active%3Dyes";
    let first = root.get(&format!("{user}{list}")).await;
    let back = "/admin/users/?q=ada&active=yes".to_owned();
    assert!(first.links().contains(&back));
    for (tab, shows) in [
        ("statement", vec!["Balance after", "adjustment", "a gift", "The whole statement"]),
        ("chats", vec!["Net cost", "Hello", "pending", "All chats"]),
        ("auth-tokens", vec!["made by a login", "Revoke tg_", "Make an auth token", "including ended ones"]),
        ("security", vec!["Panel sessions", "Sign-ins", "Set password", "Log out everywhere"]),
        ("activity", vec!["opening", "Hello", "a gift", "The whole history"]),
    ] {
        let links = first.links();
        let link = links.iter().find(|link| link.starts_with(&format!("?tab={tab}"))).unwrap();
        let page = root.get(&format!("{user}{link}")).await;
        page.assert_status(200).assert_shows(&shows).assert_shows(&["Can chat: yes", "Reserved 100"]);
        assert!(page.links().contains(&back), "{tab}");
        assert_eq!(page.link("Edit"), format!("{user}edit/{list}"), "{tab}");
        let rest = ["adjust/", "limits/", "password/", "log-out/", "deactivate/", "anonymise/", "history/"];
        for path in rest {
            assert!(page.links().contains(&format!("{user}{path}")), "{tab} leads to {path}");
        }
    }
    let staff = app.staff("grace").await;
    let page = staff.get(&format!("{user}?tab=auth-tokens")).await;
    page.assert_shows(&["made by a login"]).assert_hides(&["Revoke", "/adjust/", "/deactivate/"]);
}

#[rstest]
#[actix_web::test]
async fn the_security_tab_has_the_sign_ins_but_not_the_other_actions(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("root"));
    root.submit(&format!("{user}adjust/"), &[("amount", "5"), ("reason", "for me")]).await.assert_status(303);
    let page = root.get(&format!("{user}?tab=security")).await;
    page.assert_shows(&["root signed in · 127.0.0.1", "(this one)"]);
    assert!(!page.text().contains("for me"));
    assert!(!page.text().contains("signed in: root"), "the object is the actor");
    let all = root.click(&page, "All sign-ins").await;
    all.assert_shows(&["1 of 2 entries", "signed in"]);
}

#[rstest]
#[actix_web::test]
async fn titles_name_the_thing_that_the_page_is_about(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let (user, chat, hold) = (world.user, world.chat, world.hold);
    let token =
        app.text("SELECT first_characters AS value FROM auth_tokens ORDER BY id DESC LIMIT 1").unwrap();
    let auth_token = world.auth_token;
    for (path, expected) in [
        (format!("users/{user}/"), "ada".to_owned()),
        (format!("users/{user}/?tab=chats"), "Chats · ada".to_owned()),
        (format!("users/{user}/edit/"), "Edit user · ada".to_owned()),
        (format!("users/{user}/adjust/"), "Adjust balance · ada".to_owned()),
        (format!("users/{user}/limits/"), "Limits · ada".to_owned()),
        (format!("users/{user}/password/"), "Set password · ada".to_owned()),
        (format!("users/{user}/log-out/"), "Log out everywhere · ada".to_owned()),
        (format!("users/{user}/deactivate/"), "Deactivate · ada".to_owned()),
        (format!("users/{user}/reactivate/"), "Reactivate · ada".to_owned()),
        (format!("users/{user}/anonymise/"), "Anonymise · ada".to_owned()),
        (format!("users/{user}/history/"), "History · ada".to_owned()),
        (format!("chats/{chat}/"), format!("Chat {chat} · ada")),
        (format!("chats/{chat}/refund/"), format!("Refund chat {chat} · ada")),
        (format!("chats/{hold}/release/"), format!("Release the hold of chat {hold} · ada")),
        (format!("chats/{chat}/history/"), format!("History · chat {chat} · ada")),
        (format!("auth-tokens/{auth_token}/"), format!("Auth token {token}… · ")),
        (format!("auth-tokens/{auth_token}/revoke/"), format!("Revoke {token}… · ")),
        (format!("auth-tokens/{auth_token}/history/"), format!("History · auth token {auth_token} · ")),
        (format!("models/{}/", world.model), "Model small-1".to_owned()),
        (format!("models/{}/history/", world.model), "History · small-1".to_owned()),
        (format!("bulk-operations/{}/", world.bulk), format!("Bulk operation {} · ", world.bulk)),
        (
            format!("bulk-operations/{}/history/", world.bulk),
            format!("History · bulk operation {}", world.bulk),
        ),
    ] {
        let page = root.get(&format!("/admin/{path}")).await;
        page.assert_status(200);
        let shown = title(&page);
        assert!(shown.starts_with(&expected), "{path} is titled {shown:?}, not {expected:?}");
        assert!(!expected.ends_with("ada") || shown == expected, "{path} is titled {shown:?}");
    }
    let name = "\u{5D3}\u{5D5}\u{5D3}";
    app.sql(&format!("UPDATE users SET username = '{name}' WHERE id = {user}"));
    let page = root.get(&format!("/admin/users/{user}/limits/")).await;
    assert_eq!(title(&page), format!("Limits · \u{2068}{name}\u{2069}"));
}

/// Times and numbers in the history are shown as everywhere else: in the administrator's zone, and
/// with separated thousands.
#[rstest]
#[actix_web::test]
async fn changes_have_the_readers_time_zone_and_separated_thousands(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("1234567").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let root = app.superuser("root").await;
    root.submit("/admin/settings/", &[("time_zone", "Europe/Berlin")]).await.assert_status(303);
    let (id, auth_token) = (app.id_of("1234567"), app.number("SELECT min(id) AS value FROM auth_tokens"));
    let user = format!("/admin/users/{id}/");
    root.submit(
        &format!("{user}adjust/"),
        &[("amount", "8999999999990000"), ("amount_again", "8999999999990000"), ("reason", "x")],
    )
    .await
    .assert_status(303);
    root.submit(&format!("{user}edit/"), &[("username", "7654321")]).await.assert_status(303);
    let edit = format!("/admin/auth-tokens/{auth_token}/");
    root.submit(&edit, &[("expires", "2030-07-01T12:30")]).await.assert_status(303);
    root.submit(&format!("{edit}revoke/"), &[]).await.assert_status(303);
    app.sql(
        "UPDATE audit_log SET changes =
             '[{\"field\":\"revoked\",\"before\":\"\",\"after\":\"2026-11-29T10:01:29.272437Z\"}]'
         WHERE action = 'revoke'",
    );
    for path in ["/admin/history/".to_owned(), format!("{user}history/")] {
        let page = root.get(&path).await;
        page.assert_shows(&[
            "tokens: before 3,900 → after 8,999,999,999,993,900",
            "username: before 1234567 → after 7654321",
            "expires: before never → after 2030-07-01 12:30:00",
            "revoked: after 2026-11-29 11:01:29",
        ]);
        page.assert_hides(&["10:01:29.272437"]);
    }
    root.get(&format!("{edit}history/")).await.assert_shows(&["revoked: after 2026-11-29 11:01:29"]);
    root.get(&user).await.assert_shows(&["revoked: after 2026-11-29 11:01:29"]);
}

#[rstest]
#[actix_web::test]
async fn conflicts_and_bulk_operations_show_times_and_numbers_as_everywhere(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    root.submit("/admin/settings/", &[("time_zone", "Europe/Berlin")]).await.assert_status(303);
    let other = Browser::signed_in(&app, "root").await;
    let edit = format!("/admin/auth-tokens/{}/", world.auth_token);
    let slow = root.get(&edit).await.form().with(&[("expires", "2030-07-01T12:30")]);
    other.submit(&edit, &[("expires", "2031-01-02T03:04")]).await.assert_status(303);
    root.send(&slow).await.assert_status(409).assert_shows(&["Expires 2031-01-02 03:04 2030-07-01 12:30"]);
    let slow = root.get(&edit).await.form().with(&[("expires", "")]);
    other.submit(&edit, &[("expires", "2032-01-02T03:04")]).await.assert_status(303);
    root.send(&slow).await.assert_status(409).assert_shows(&["Expires 2032-01-02 03:04 never"]);
    let model = format!("/admin/models/{}/", world.model);
    let by_usage = |base| [("price", "usage"), ("base", base), ("prompt", "1"), ("answer", "1")];
    let slow = root.get(&model).await.form().with(&by_usage("1000000"));
    other.submit(&model, &by_usage("2500000")).await.assert_status(303);
    root.send(&slow).await.assert_status(409).assert_shows(&["Per message 2,500,000 1,000,000"]);
    let form = root.get("/admin/users/").await.form().tick("id", world.user);
    let form = root.send(&form).await.form().with(&[
        ("amount", "1000000"),
        ("amount_again", "1000000"),
        ("reason", "a large gift"),
    ]);
    let started = root.confirm(&form).await;
    finish_all(&app.services.db).await.unwrap();
    root.follow(&started).await.assert_shows(&["Done.", "Amount per user +1,000,000"]);
    let history = root.get(&format!("{}history/", started.location())).await;
    history.assert_shows(&["amount: after 1,000,000", "rows: after 1"]);
}

/// A name, a reason and a message are elements of their own, whose direction is that of their text.
#[rstest]
#[actix_web::test]
async fn what_users_wrote_has_its_own_direction(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("\u{5D3}\u{5D5}\u{5D3}").await;
    let hebrew = "\u{5E9}\u{5DC}\u{5D5}\u{5DD}, \u{5D4}\u{5D5}\u{5D3}\u{5E2}\u{5D4}";
    app.chat(&token, hebrew).await.assert_status(201);
    let root = app.superuser("root").await;
    let id = app.id_of("\u{5D3}\u{5D5}\u{5D3}");
    root.submit(&format!("/admin/users/{id}/adjust/"), &[("amount", "5"), ("reason", hebrew)])
        .await
        .assert_status(303);
    app.catch_up().await;
    let chat = app.number("SELECT max(id) AS value FROM chats");
    for path in [
        format!("/admin/users/{id}/"),
        format!("/admin/users/{id}/?tab=statement"),
        format!("/admin/users/{id}/?tab=chats"),
        format!("/admin/chats/{chat}/"),
        format!("/admin/chats/{chat}/refund/"),
        format!("/admin/users/{id}/history/"),
    ] {
        let page = root.get(&path).await;
        page.assert_status(200);
        let mut found = 0;
        let mut inside: Vec<bool> = Vec::new();
        for piece in pieces(&page.html()) {
            match piece {
                Piece::Tag(tag) if tag.name == "bdi" || tag.name == "pre" => {
                    inside.push(tag.name == "bdi" || tag.attribute("dir") == Some("auto"));
                }
                Piece::Tag(tag) if tag.name == "/bdi" || tag.name == "/pre" => _ = inside.pop(),
                Piece::Text(text) if text.contains(hebrew) => {
                    found += 1;
                    assert_eq!(inside.last(), Some(&true), "{path}: {text}");
                }
                _ => {}
            }
        }
        assert!(found > 0, "{path} does not show {hebrew}");
    }
}
