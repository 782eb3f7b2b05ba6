//! The tabs of a user's page, and what each of them shows. The lists have what is left out.

use chrono::NaiveDateTime;

use super::activity::{self, Activity, Place};
use crate::audit::Action;
use crate::db::DbConnection;
use crate::error::{Error, Result};
use crate::models::{AuditEntry, AuthToken, Chat, ChatState, Keyset, LedgerEntry, Session, User};
use crate::panel::history::{HistoryLine, describe};
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::names::Named;
use crate::panel::kit::paths;
use crate::panel::kit::sessions::sessions_table;
use crate::panel::kit::table::{ShortTable, column};
use crate::panel::kit::zone::Zone;
use crate::panel::statement::Statement;
use crate::panel::{auth_tokens, chats, ledger};

/// The most rows of a tab. The page then fits on one screen, and on two of a phone.
const SHOWN: i64 = 12;

/// The most entries of the history that are searched for sign-ins.
const MOST_SEARCHED: i64 = 200;

/// The most sign-ins, and sessions, that are shown.
const SIGN_INS: usize = 5;

/// The actions that concern the security of an account.
const OF_SECURITY: [Action; 7] = [
    Action::SignIn,
    Action::FailSignIn,
    Action::SignOut,
    Action::SetPassword,
    Action::LogOutEverywhere,
    Action::Deactivate,
    Action::Reactivate,
];

/// A tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tab {
    Activity,
    Statement,
    Chats,
    AuthTokens,
    Security,
}

/// A link to a tab.
pub(super) struct TabLink {
    pub label: &'static str,
    pub href: String,
    pub is_current: bool,
}

/// What a tab shows. `None` while the index that its rows are found by is being built.
pub(super) enum TabBody {
    Activity(Option<Activity>),
    Statement(Option<StatementTab>),
    Chats(Option<ShortTable>),
    AuthTokens(ShortTable),
    Security { sessions: ShortTable, history: Vec<HistoryLine> },
}

/// The latest entries of a user's statement.
pub(super) struct StatementTab {
    pub table: ShortTable,
    /// The heading on paper. `None` if there are no entries.
    pub paper: Option<Statement>,
}

/// What reading a tab depends on, besides the user.
#[derive(Clone, Copy)]
pub(super) struct TabReader {
    pub tab: Tab,
    /// Where the timeline begins.
    pub place: Place,
    /// The session of the administrator who looks.
    pub own_session: i64,
    pub may_change: bool,
    pub zone: Zone,
    pub idle_since: NaiveDateTime,
    pub now: NaiveDateTime,
}

impl Tab {
    const ALL: [Tab; 5] = [Tab::Activity, Tab::Statement, Tab::Chats, Tab::AuthTokens, Tab::Security];

    /// Returns the tab with this name, or the first one.
    pub(super) fn named(name: &str) -> Tab {
        Tab::ALL.into_iter().find(|tab| tab.name() == name).unwrap_or(Tab::Activity)
    }

    /// Returns the name in addresses.
    fn name(self) -> &'static str {
        match self {
            Tab::Activity => "activity",
            Tab::Statement => "statement",
            Tab::Chats => "chats",
            Tab::AuthTokens => "auth-tokens",
            Tab::Security => "security",
        }
    }

    /// Returns the label of the link.
    pub(super) fn label(self) -> &'static str {
        match self {
            Tab::Activity => "Activity",
            Tab::Statement => "Statement",
            Tab::Chats => "Chats",
            Tab::AuthTokens => "Auth tokens",
            Tab::Security => "Security",
        }
    }

    /// Returns the links to all tabs, of which this one is shown. They keep the way back to `list`.
    pub(super) fn links(self, list: &str) -> Vec<TabLink> {
        let link = |tab: Tab| TabLink { label: tab.label(), href: tab.href(list), is_current: tab == self };
        Tab::ALL.map(link).into()
    }

    /// Returns the link to the tab, which keeps the way back to `list`.
    pub(super) fn href(self, list: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("tab", self.name());
        if !list.is_empty() {
            query.append_pair("list", list);
        }
        format!("?{}", query.finish())
    }
}

/// Returns `None` if the index that the rows are found by is being built.
pub(super) fn unless_behind<T>(rows: Result<T>) -> Result<Option<T>> {
    match rows {
        Err(Error::IndexBehind(_)) => Ok(None),
        rows => rows.map(Some),
    }
}

impl TabReader {
    /// Reads what the tab shows. `tokens` are the user's live auth tokens.
    pub(super) fn read(
        &self,
        conn: &mut DbConnection,
        user: &User,
        tokens: Vec<AuthToken>,
    ) -> Result<TabBody> {
        let first = Keyset { limit: SHOWN, before: None };
        Ok(match self.tab {
            Tab::Activity => {
                TabBody::Activity(unless_behind(activity::read(conn, user.id, self.place, SHOWN))?)
            }
            Tab::Statement => {
                let entries = unless_behind(LedgerEntry::page_of(conn, user.id, first))?;
                TabBody::Statement(match entries {
                    Some(entries) => Some(StatementTab {
                        paper: Statement::new(&user.username, &entries, self.zone, self.now),
                        table: statement(&ledger::named(conn, entries)?),
                    }),
                    None => None,
                })
            }
            Tab::Chats => {
                let chats = unless_behind(Chat::excerpts_of(conn, user.id, first))?;
                TabBody::Chats(match chats {
                    Some(found) => {
                        let ids: Vec<i64> = found.iter().map(|chat| chat.id).collect();
                        let costs = LedgerEntry::costs_of(conn, &ids)?;
                        let cost = |chat: &Chat| costs.get(&chat.id).copied().unwrap_or(chat.charge);
                        Some(chats_table(&chats::named(conn, found)?, cost))
                    }
                    None => None,
                })
            }
            Tab::AuthTokens => TabBody::AuthTokens(self.tokens_table(&auth_tokens::named(conn, tokens)?)),
            Tab::Security => TabBody::Security {
                sessions: self.sessions(conn, user.id)?,
                history: sign_ins(conn, user.id)?,
            },
        })
    }

    /// A table of the live auth tokens, each with a link that revokes it.
    fn tokens_table(&self, tokens: &[Named<AuthToken>]) -> ShortTable {
        let shown = usize::try_from(SHOWN).unwrap_or(usize::MAX);
        let name = |token: &AuthToken| {
            Cell::Text(token.name.clone().unwrap_or_else(|| "made by a login".to_owned()))
        };
        let row = |token: &Named<AuthToken>| {
            let AuthToken { id, first_characters, .. } = &token.row;
            let revoke =
                Cell::Link { text: format!("Revoke {first_characters}…"), href: paths::revoke(*id) };
            let main = Cell::Main { text: format!("{first_characters}…"), href: paths::auth_token(*id) };
            let mut row = vec![
                main,
                name(&token.row),
                Cell::Time(token.row.created_at),
                Cell::time(token.row.last_used_at),
                Cell::time(token.row.expires_at),
            ];
            row.extend(self.may_change.then_some(revoke));
            row
        };
        let mut heads = vec![
            column("Begins with", ""),
            column("Name", "grow"),
            column("Made", ""),
            column("Last used", ""),
            column("Expires", ""),
        ];
        heads.extend(self.may_change.then(|| column("Revoke", "")));
        let rows = tokens.iter().take(shown).map(row).collect();
        ShortTable { heads, rows, empty: "There are no live auth tokens." }
    }

    fn sessions(&self, conn: &mut DbConnection, user_id: i64) -> Result<ShortTable> {
        let mut sessions = Session::live_of(conn, user_id, self.idle_since, self.now)?;
        sessions.truncate(SIGN_INS);
        let table = sessions_table(&sessions, self.own_session);
        let class = |place| if place == 0 { "grow" } else { "" };
        let heads = table.heads.iter().enumerate().map(|(place, head)| column(head.label, class(place)));
        Ok(ShortTable { heads: heads.collect(), rows: table.rows, empty: table.empty })
    }
}

fn statement(entries: &[Named<LedgerEntry>]) -> ShortTable {
    let row = |entry: &Named<LedgerEntry>| {
        let LedgerEntry { kind, amount, balance_after, chat_id, actor_id, note, created_at, .. } = &entry.row;
        vec![
            Cell::Time(*created_at),
            Cell::Text(kind.as_str().to_owned()),
            chat_id.map_or(Cell::Nothing, |id| Cell::Link { text: format!("#{id}"), href: paths::chat(id) }),
            Cell::excerpt(note),
            actor_id.map_or(Cell::Nothing, |id| entry.user(id)),
            Cell::Signed(*amount),
            Cell::Tokens(*balance_after),
        ]
    };
    ShortTable {
        heads: vec![
            column("When", ""),
            column("Kind", ""),
            column("Chat", ""),
            column("Reason", "grow"),
            column("By", "cap"),
            column("Amount", "number first"),
            column("Balance after", "number"),
        ],
        rows: entries.iter().map(row).collect(),
        empty: "There are no entries.",
    }
}

fn chats_table(chats: &[Named<Chat>], cost: impl Fn(&Chat) -> i64) -> ShortTable {
    let row = |chat: &Named<Chat>| {
        let Chat { state, created_at, finished_at, message, .. } = &chat.row;
        let took = finished_at.map(|finished| Cell::Text(format::span(finished - *created_at)));
        vec![
            chats::main(chat),
            Cell::Time(*created_at),
            Cell::excerpt(message),
            chats::endpoint(&chat.row),
            chats::state(*state),
            match state {
                ChatState::Pending => Cell::Text(format!("{} held", format::tokens(cost(&chat.row)))),
                _ => Cell::Tokens(cost(&chat.row)),
            },
            took.unwrap_or(Cell::Nothing),
        ]
    };
    ShortTable {
        heads: vec![
            column("Chat", ""),
            column("When", ""),
            column("Message", "grow"),
            column("Endpoint", ""),
            column("State", ""),
            column("Net cost", "number first"),
            column("Took", "number"),
        ],
        rows: chats.iter().map(row).collect(),
        empty: "There are no chats yet.",
    }
}

/// Returns the latest sign-ins and what else concerns the security of the account.
fn sign_ins(conn: &mut DbConnection, user_id: i64) -> Result<Vec<HistoryLine>> {
    let mut entries = AuditEntry::latest_of_user(conn, user_id, MOST_SEARCHED)?;
    let texts = OF_SECURITY.map(Action::text);
    entries.retain(|entry| texts.contains(&Action::text_of(&entry.action)));
    entries.truncate(SIGN_INS);
    describe(conn, entries)
}
