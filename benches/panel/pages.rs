//! The pages that are timed.

use chrono::{NaiveDateTime, TimeDelta};

use crate::shape::{HEAVY, Shape};
use crate::words::{ABSENT, APART, COMMON, MEDIUM, RARE};

#[derive(Clone, Debug)]
pub struct Page {
    pub group: &'static str,
    pub what: String,
    pub path: String,
    /// Whether the pages that it links to (the next one, and a longer search) are timed, too.
    pub leads_on: bool,
}

/// Collects the pages of one list.
pub(crate) struct List<'a> {
    pub pages: &'a mut Vec<Page>,
    pub group: &'static str,
    pub path: &'static str,
}

impl List<'_> {
    /// Adds one page. `place` is the parameter that says where in the list it is.
    pub(crate) fn at(&mut self, query: &str, place: &str, suffix: &str) {
        let joined: Vec<&str> = [query, place].into_iter().filter(|part| !part.is_empty()).collect();
        let query = joined.join("&");
        let what = if query.is_empty() { "all".to_owned() } else { query.replace("%23", "#") };
        let path = if query.is_empty() { self.path.to_owned() } else { format!("{}?{query}", self.path) };
        let leads_on = place.is_empty();
        self.pages.push(Page { group: self.group, what: format!("{what}{suffix}"), path, leads_on });
    }

    /// Adds the first page and the last.
    pub(crate) fn ends(&mut self, query: &str) {
        self.at(query, "", "");
        self.at(query, "last=1", "");
    }

    /// Adds the first page, the last, and one in the middle.
    pub(crate) fn through(&mut self, query: &str, middle: &str) {
        self.ends(query);
        self.at(query, &format!("after={middle}"), "");
    }
}

pub fn pages(shape: &Shape) -> Vec<Page> {
    let mut pages = Vec::new();
    users(&mut List { pages: &mut pages, group: "Users", path: "/admin/users/" }, shape);
    chats(&mut List { pages: &mut pages, group: "Chats", path: "/admin/chats/" }, shape);
    auth_tokens(&mut List { pages: &mut pages, group: "Auth tokens", path: "/admin/auth-tokens/" }, shape);
    ledger(&mut List { pages: &mut pages, group: "Ledger", path: "/admin/ledger/" }, shape);
    holds(&mut List { pages: &mut pages, group: "Holds", path: "/admin/holds/" });
    history(&mut List { pages: &mut pages, group: "History", path: "/admin/history/" }, shape);
    let mut bulk = List { pages: &mut pages, group: "Bulk operations", path: "/admin/bulk-operations/" };
    for query in ["", "sort=id", "state=running", "state=finished", "state=failures", "facets=1"] {
        bulk.ends(query);
    }
    others(&mut pages, shape);
    pages
}

/// Returns the filter for the day of `at`.
pub(crate) fn day(name: &str, at: NaiveDateTime) -> String {
    let day = at.format("%Y-%m-%d");
    format!("{name}_from={day}&{name}_to={day}")
}

/// Returns a time in the middle of the two years.
pub(crate) fn middle(shape: &Shape) -> NaiveDateTime {
    shape.end - TimeDelta::days(300)
}

fn users(list: &mut List<'_>, shape: &Shape) {
    let time = middle(shape).format("%Y-%m-%dT%H:%M:%S").to_string();
    let half = shape.users / 2;
    let sorts = [
        ("joined", format!("{time}~{half}")),
        ("name", "m~0".to_owned()),
        ("balance", format!("3000~{half}")),
        ("last_login", format!("{time}~{half}")),
    ];
    for (sort, position) in &sorts {
        list.through(&format!("sort={sort}"), position);
        list.through(&format!("sort=-{sort}"), position);
    }
    let one_day = day("joined", middle(shape));
    let filters =
        ["active=yes", "active=no", "staff=yes", "staff=no", "balance=zero", "balance=low", "joined=today"];
    for filter in filters.into_iter().chain(["joined=7days", "joined=year", &one_day]) {
        list.ends(filter);
        for (sort, _) in &sorts {
            list.ends(&format!("{filter}&sort=-{sort}"));
            list.at(&format!("{filter}&sort={sort}"), "", "");
        }
    }
    for pair in [
        "active=no&balance=low",
        "active=no&balance=zero",
        "active=no&staff=no",
        "staff=yes&balance=low",
        "balance=zero&joined=7days",
        "balance=low&joined=year",
        "active=no&joined=year",
        "active=no&balance=low&joined=7days&sort=name",
        "facets=1",
        "facets=1&active=no",
        "facets=1&balance=low&sort=balance",
        "facets=1&q=anna",
    ] {
        list.ends(pair);
    }
    for word in ["anna", "an", "a", "zebulon", "wwwxyz", "anna+babaje", "busybody", "%2317"] {
        list.ends(&format!("q={word}"));
        for (sort, _) in &sorts {
            list.at(&format!("q={word}&sort=-{sort}"), "", "");
        }
        for filter in ["active=no", "staff=yes", "balance=zero", "balance=low", "joined=7days"] {
            list.at(&format!("q={word}&{filter}"), "", "");
        }
    }
}

fn chats(list: &mut List<'_>, shape: &Shape) {
    let half = (shape.chats / 2).to_string();
    let (few, one_day) = (format!("user=%23{}", shape.few()), day("date", middle(shape)));
    let (heavy, ordinary) = (format!("user=%23{HEAVY}"), format!("user=%23{}", shape.users / 100));
    list.through("", &half);
    list.through("sort=id", &half);
    for filter in [
        &heavy,
        &ordinary,
        &few,
        "user=nobody",
        "state=complete",
        "state=pending",
        "state=failed",
        "state=cancelled",
        "model=dummy",
        "model=mistral-small",
        "model=tiny-rare-1b",
        "model=none-such",
        "date=today",
        "date=7days",
        "date=month",
        "date=year",
        &one_day,
        "facets=1",
    ] {
        list.through(filter, &half);
        list.at(&format!("{filter}&sort=id"), "", "");
    }
    for filter in [
        format!("{heavy}&state=failed"),
        format!("{heavy}&model=tiny-rare-1b"),
        format!("{heavy}&{one_day}"),
        format!("{few}&state=complete"),
        format!("{few}&{one_day}"),
        "state=failed&model=tiny-rare-1b".to_owned(),
        format!("state=failed&{one_day}"),
        "state=failed&date=7days".to_owned(),
        format!("model=tiny-rare-1b&{one_day}"),
        format!("{heavy}&state=cancelled&model=mistral-small&date=year"),
        format!("facets=1&{heavy}"),
        "facets=1&state=failed&date=7days".to_owned(),
    ] {
        list.ends(&filter);
    }
    let (both, apart) = (format!("{COMMON}+{MEDIUM}"), APART.join("+"));
    for words in [COMMON, MEDIUM, RARE, ABSENT, &both, &apart] {
        list.through(&format!("q={words}"), &half);
        list.at(&format!("q={words}&sort=id"), "", "");
        for filter in
            [&few, &heavy, "state=failed", "state=pending", "model=tiny-rare-1b", &one_day, "date=7days"]
        {
            list.ends(&format!("q={words}&{filter}"));
        }
        list.at(&format!("q={words}&state=failed&{one_day}"), "", "");
        list.at(&format!("q={words}&{few}&model=tiny-rare-1b"), "", "");
    }
    list.at("q=%2317", "", "");
}

fn auth_tokens(list: &mut List<'_>, shape: &Shape) {
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

fn ledger(list: &mut List<'_>, shape: &Shape) {
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
    for words in ["invoice", "paid+inv", "nothing-such"] {
        list.through(&format!("q={words}"), &half);
        for filter in ["kind=adjustment", "actor=admin1", &few, &one_day, "sums=1"] {
            list.at(&format!("q={words}&{filter}"), "", "");
        }
    }
}

fn holds(list: &mut List<'_>) {
    for query in ["", "sort=-id", "overdue=yes", "overdue=no", "user=busybody", "user=anna", "facets=1"] {
        list.ends(query);
    }
}

fn history(list: &mut List<'_>, shape: &Shape) {
    let half = (shape.users / 20).to_string();
    list.through("", &half);
    list.through("sort=when", &half);
    let (few, one_day) = (format!("user=%23{}", shape.few()), day("date", middle(shape)));
    let pairs = [
        format!("actor=admin1&{one_day}"),
        "actor=admin1&action=refund".to_owned(),
        "actor=admin9&action=adjust".to_owned(),
        format!("action=change&{one_day}"),
        format!("{few}&action=change"),
    ];
    let single = [
        &few,
        "actor=admin1",
        "actor=admin9",
        "action=adjust",
        "action=refund",
        "action=anonymise",
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
    for words in ["invoice", "192.0.2", "admin1+adjusted", "anna", "nothing-such"] {
        list.ends(&format!("q={words}"));
        for filter in ["action=adjust", "actor=admin1", &one_day] {
            list.at(&format!("q={words}&{filter}"), "", "");
        }
    }
}

fn others(pages: &mut Vec<Page>, shape: &Shape) {
    let mut add = |group: &'static str, what: &str, path: String| {
        pages.push(Page { group, what: what.to_owned(), path, leads_on: false });
    };
    add("Other pages", "home", "/admin/".to_owned());
    add("Other pages", "home, 90 days", "/admin/?days=90".to_owned());
    for words in
        [COMMON, MEDIUM, RARE, ABSENT, "anna", "zebulon", "tg_A", "123456", "%23123456", "monday+sunday"]
    {
        add("Global search", &words.replace("%23", "#"), format!("/admin/search/?q={words}"));
    }
    for (what, user) in
        [("an ordinary user", shape.users / 3), ("the heaviest user", HEAVY), ("an administrator", 1)]
    {
        for page in [
            "",
            "?tab=statement",
            "?tab=chats",
            "?tab=auth-tokens",
            "?tab=security",
            "history/",
            "edit/",
            "anonymise/",
            "adjust/",
        ] {
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
