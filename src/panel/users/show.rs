//! A user's page: who it is, what they have and whether they can chat at the left, and a tab with
//! what they did at the right.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use chrono::{Days, NaiveDateTime};
use serde::Deserialize;

use super::ability::{Ability, Circumstances, has_password};
use super::activity::{Event, Place};
use super::limits;
use super::list::{mark, rights};
use super::spending::Spending;
use super::tabs::{Tab, TabBody, TabLink, TabReader, unless_behind};
use crate::auth::Auth;
use crate::chat::Toll;
use crate::clock;
use crate::db::DbConnection;
use crate::domain::{OperationId, REASON_LENGTH};
use crate::error::Result;
use crate::http::{CurrentSite, Site};
use crate::models::{AuditEntry, AuthToken, Chat, Keyset, LedgerEntry, Model, OpenHolds, Spent, User};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::list::{Cell, Tone};
use crate::panel::kit::names::titled;
use crate::panel::kit::page::{Crumb, Frame, page};
use crate::panel::kit::paths;
use crate::panel::kit::zone::Zone;
use crate::panel::kit::{PageError, back_to, format, id};

/// The query string of the page.
#[derive(Deserialize)]
pub(in crate::panel) struct Wanted {
    /// The query string of the list that the page was reached from, if any.
    #[serde(default)]
    list: String,
    /// The tab's name. Anything else is the first tab.
    #[serde(default)]
    tab: String,
    /// Where the timeline begins.
    #[serde(default)]
    older: String,
}

/// The most entries of the history among which the user's deactivation is looked for.
const LOOKED_THROUGH: i64 = 200;

#[derive(Template)]
#[template(path = "admin/user.html")]
struct UserPage {
    frame: Frame,
    user: User,
    /// Tokens spent per day, in the tab *Statement*. `None` if there were none lately.
    spending: Option<Spending>,
    /// Why the user is inactive, and since when.
    deactivation: Option<HistoryLine>,
    state: Cell,
    rights: Cell,
    /// A warning about the name, if it looks like another one.
    mark: Option<String>,
    balance: String,
    /// The tokens that are held for pending chats.
    reserved: String,
    ability: Ability,
    facts: Vec<Fact>,
    tabs: Vec<TabLink>,
    /// The link to the newest part of the timeline.
    timeline: String,
    body: TabBody,
    /// Whether the user can log in with a password.
    has_password: bool,
    may_change: bool,
    /// The link to the form, which leads back to the list.
    edit: String,
    /// The id of the adjustment that the page's form makes.
    operation: String,
    most_of_reason: usize,
}

impl UserPage {
    /// Whether the balance needs smaller digits to fit into its column.
    fn is_long(&self) -> bool {
        self.balance.len() > 11
    }
}

/// What one read returns.
struct UserOverview {
    user: User,
    looks_like: Option<String>,
    holds: OpenHolds,
    live_tokens: usize,
    models: Vec<Model>,
    /// `None` while the index is being built.
    spent: Option<Spent>,
    last_chat: Option<NaiveDateTime>,
    body: TabBody,
    spending: Option<Spending>,
    deactivation: Option<HistoryLine>,
}

fn read(
    conn: &mut DbConnection,
    user_id: i64,
    zone: Zone,
    reader: &TabReader,
) -> Result<Option<UserOverview>> {
    let Some(user) = User::find(conn, user_id)? else { return Ok(None) };
    let tokens = AuthToken::live_of(conn, user_id, reader.now)?;
    let today = zone.date_of(reader.now);
    let [week, month] = [6, 29].map(|days| zone.start_of(today - Days::new(days)));
    let newest = Keyset { limit: 1, before: None };
    let last_chat = unless_behind(Chat::excerpts_of(conn, user_id, newest))?.unwrap_or_default();
    let deactivation = match user.is_active {
        true => None,
        false => AuditEntry::latest_deactivation(conn, user_id, LOOKED_THROUGH)?,
    };
    let spending = match reader.tab {
        Tab::Statement => unless_behind(Spending::read(conn, user_id, zone, reader.now))?.flatten(),
        _ => None,
    };
    Ok(Some(UserOverview {
        spending,
        deactivation: describe(conn, deactivation.into_iter().collect())?.pop(),
        looks_like: User::look_alikes(conn, &[user_id])?.remove(&user_id),
        holds: Chat::open_holds_of(conn, user_id)?,
        live_tokens: tokens.len(),
        models: Model::all(conn)?,
        spent: unless_behind(LedgerEntry::spent_since(conn, user_id, week, month))?,
        last_chat: last_chat.first().map(|chat| chat.created_at),
        body: reader.read(conn, &user, tokens)?,
        user,
    }))
}

/// Returns the facts in the column at the left.
fn facts(found: &UserOverview, site: &Site) -> Vec<Fact> {
    let spent = |tokens: i64, is_cut: bool| {
        let more = if is_cut { "more than " } else { "" };
        Cell::Text(format!("{more}{}", format::tokens(tokens)))
    };
    let mut facts = Vec::new();
    if let Some(sums) = found.spent {
        facts.push(Fact::new("Spent in 7 days", spent(sums.recently, sums.recently_is_cut)));
        facts.push(Fact::new("Spent in 30 days", spent(sums.lately, sums.lately_is_cut)));
    }
    facts.extend([
        Fact::new("Last chat", Cell::time(found.last_chat)),
        Fact::new("Last login", Cell::time(found.user.last_login)),
        Fact::new("Joined", Cell::Time(found.user.date_joined)),
    ]);
    facts.extend(limits::facts(&found.user, site));
    let tokens = i64::try_from(found.live_tokens).unwrap_or(i64::MAX);
    facts.push(Fact::new("Live auth tokens", Cell::Tokens(tokens)));
    facts.push(Fact::new("Id", Cell::Id(found.user.id)));
    facts
}

/// Shows the page (`GET /admin/users/{id}/`).
pub(in crate::panel) async fn show(
    administrator: Administrator,
    place: Path<String>,
    wanted: Query<Wanted>,
    auth: Data<Auth>,
    site: CurrentSite,
    toll: Data<Toll>,
) -> Result<HttpResponse, PageError> {
    let (user_id, now) = (id(&place)?, clock::now());
    let (tab, zone, may_change) = (Tab::named(&wanted.tab), administrator.zone, administrator.may_change());
    let reader = TabReader {
        tab,
        place: Place::parse(&wanted.older),
        own_session: administrator.session.id,
        may_change,
        zone,
        idle_since: now - auth.rules().session_idle,
        now,
    };
    let read = move |conn: &mut DbConnection| read(conn, user_id, zone, &reader);
    let found = auth.db.read_in_turn(administrator.user.id, read).await?;
    let Some(found) = found else { return Err(PageError::Missing("user", paths::USERS)) };
    let circumstances = Circumstances {
        live_tokens: found.live_tokens,
        holds: found.holds,
        models: &found.models,
        site: &site,
        is_throttled: auth.throttle.is_on(),
        are_held: !toll.is_instant(),
    };
    page(&UserPage {
        frame: frame(&administrator, &found.user, tab, &wanted.list),
        state: state(&found.user),
        rights: rights(&found.user),
        mark: mark(&found.user.username, found.looks_like.as_deref()),
        balance: format::tokens(found.user.tokens),
        reserved: format::tokens(found.holds.tokens),
        ability: Ability::of(&found.user, &circumstances),
        facts: facts(&found, &site),
        tabs: tab.links(&wanted.list),
        timeline: Tab::Activity.href(&wanted.list),
        has_password: has_password(&found.user),
        body: found.body,
        spending: found.spending,
        deactivation: found.deactivation,
        may_change,
        edit: with_list(paths::edit_user(user_id), &wanted.list),
        operation: OperationId::generate().to_text(),
        most_of_reason: REASON_LENGTH,
        user: found.user,
    })
    .map_err(PageError::from)
}

fn frame(administrator: &Administrator, user: &User, tab: Tab, list: &str) -> Frame {
    let (users, here) = (back_to(paths::USERS, list), paths::user(user.id));
    let way = [
        Crumb::new("Users", users.as_deref().unwrap_or(paths::USERS)),
        Crumb::new(user.username.as_str(), here.as_str()),
    ];
    let frame = Frame::new(administrator, &way);
    match tab {
        Tab::Activity => frame,
        tab => Frame { title: titled(tab.label(), &user.username), ..frame },
    }
}

fn state(user: &User) -> Cell {
    if user.is_active { Cell::badge("active", Tone::Good) } else { Cell::badge("inactive", Tone::Warning) }
}

/// Adds the parameter by which a page leads back to the list.
fn with_list(path: String, list: &str) -> String {
    if list.is_empty() {
        return path;
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    format!("{path}?{}", query.append_pair("list", list).finish())
}
