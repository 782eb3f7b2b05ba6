//! The pages of the other lists, and those that are no lists.

use crate::pages::{List, Page, day, middle};
use crate::shape::{HEAVY, Shape};
use crate::words::{ABSENT, COMMON, MEDIUM, RARE};

pub(crate) fn auth_tokens(list: &mut List<'_>, shape: &Shape) {
    let half = (shape.users / 2).to_string();
    list.through("", &half);
    list.through("sort=id", &half);
    let few = format!("user=%23{}", shape.few());
    for filter in [
        "state=live",
        "state=revoked",
        "state=expired",
        "kind=named",
        "kind=login",
        &few,
        "user=busybody",
        "state=live&kind=named",
        "state=revoked&kind=named",
        "state=expired&kind=named",
        "state=expired&kind=login",
        "state=revoked&kind=login",
        "facets=1",
        "facets=1&state=revoked",
    ] {
        list.through(filter, &half);
        list.at(&format!("{filter}&sort=id"), "", "");
    }
    for words in ["tg_", "tg_A", "tg_AbC", "ci", "ci-17", "phone-999", "nothing-such"] {
        list.ends(&format!("q={words}"));
        list.at(&format!("q={words}&sort=id"), "", "");
        for filter in ["state=revoked", "state=expired", "kind=named", &few] {
            list.at(&format!("q={words}&{filter}"), "", "");
        }
    }
}

pub(crate) fn ledger(list: &mut List<'_>, shape: &Shape) {
    let half = (shape.chats / 2).to_string();
    list.through("", &half);
    list.through("sort=id", &half);
    let (few, heavy) = (format!("user=%23{}", shape.few()), format!("user=%23{HEAVY}"));
    let one_day = day("date", middle(shape));
    for filter in [
        &few,
        &heavy,
        "user=nobody",
        "kind=charge",
        "kind=adjustment",
        "kind=refund",
        "kind=opening",
        "kind=settlement",
        "actor=admin1",
        "actor=admin9",
        "date=today",
        "date=7days",
        "date=month",
        "date=year",
        &one_day,
        "facets=1",
    ] {
        list.through(filter, &half);
        list.at(&format!("{filter}&sort=id"), "", "");
        list.at(&format!("{filter}&sums=1"), "", "");
    }
    for filter in [
        format!("{heavy}&kind=refund"),
        format!("{heavy}&kind=opening"),
        format!("{few}&kind=refund"),
        format!("{heavy}&{one_day}"),
        format!("{few}&{one_day}"),
        "kind=charge&date=today".to_owned(),
        "kind=charge&date=7days".to_owned(),
        "kind=adjustment&date=7days".to_owned(),
        format!("kind=refund&{one_day}"),
        format!("kind=opening&{one_day}"),
        "kind=settlement&actor=admin1".to_owned(),
        format!("kind=adjustment&actor=admin2&{one_day}"),
        format!("actor=admin1&{heavy}"),
        format!("actor=admin1&{few}"),
        format!("actor=admin1&{one_day}"),
        "kind=charge&actor=admin1".to_owned(),
        "facets=1&date=7days".to_owned(),
        format!("facets=1&{heavy}"),
    ] {
        list.ends(&filter);
        list.at(&format!("{filter}&sums=1"), "", "");
    }
    list.at("q=%23123456", "", "");
}

pub(crate) fn holds(list: &mut List<'_>) {
    for query in ["", "sort=-id", "overdue=yes", "overdue=no", "user=busybody", "user=anna", "facets=1"] {
        list.ends(query);
    }
}

pub(crate) fn history(list: &mut List<'_>, shape: &Shape) {
    let half = (shape.users / 20).to_string();
    list.through("", &half);
    list.through("sort=when", &half);
    let (few, one_day) = (format!("user=%23{}", shape.few()), day("date", middle(shape)));
    let pairs = [
        format!("actor=admin1&{one_day}"),
        "actor=admin1&action=refunded".to_owned(),
        "actor=admin9&action=adjusted+the+balance".to_owned(),
        format!("action=changed&{one_day}"),
        format!("{few}&action=changed"),
    ];
    let single = [
        &few,
        "actor=admin1",
        "actor=admin9",
        "action=adjusted+the+balance",
        "action=refunded",
        "action=anonymised",
        "date=today",
        "date=7days",
        "date=year",
        &one_day,
        "facets=1",
    ];
    for filter in single.into_iter().chain(pairs.iter().map(String::as_str)) {
        list.ends(filter);
        list.at(&format!("{filter}&sort=when"), "", "");
    }
}

pub(crate) fn others(pages: &mut Vec<Page>, shape: &Shape) {
    let mut add = |group: &'static str, what: &str, path: String| {
        pages.push(Page { group, what: what.to_owned(), path, leads_on: false });
    };
    add("Other pages", "home", "/admin/".to_owned());
    for words in
        [COMMON, MEDIUM, RARE, ABSENT, "anna", "zebulon", "tg_A", "123456", "%23123456", "monday+sunday"]
    {
        add("Global search", &words.replace("%23", "#"), format!("/admin/search/?q={words}"));
    }
    for (what, user) in
        [("an ordinary user", shape.users / 3), ("the heaviest user", HEAVY), ("an administrator", 1)]
    {
        for page in ["", "history/", "edit/", "anonymise/", "adjust/"] {
            add("Other pages", &format!("{what} {page}"), format!("/admin/users/{user}/{page}"));
        }
    }
    for (what, path) in [
        ("a chat", format!("/admin/chats/{}/", shape.chats / 3)),
        ("a chat's history", format!("/admin/chats/{}/history/", shape.chats / 3)),
        ("an auth token", format!("/admin/auth-tokens/{}/", shape.users / 3)),
        ("a bulk operation", "/admin/bulk-operations/17/".to_owned()),
        ("settings", "/admin/settings/".to_owned()),
    ] {
        add("Other pages", what, path);
    }
}
