//! The rows of each table.

use chrono::{NaiveDateTime, TimeDelta};
use tollgate::index::search::{history_terms, joined, marks, name_terms, reason_terms};
use tollgate::models::{AuditEntry, EntryKind, LedgerEntry};

use crate::Result;
use crate::shape::{ADMINISTRATORS, Event, Shape, mix, unit};
use crate::words::{message, username};

pub enum Cell {
    Null,
    Integer(i64),
    Truth(bool),
    Text(String),
    Bytes(Vec<u8>),
    Time(NaiveDateTime),
}

/// Receives the rows, one by one.
pub type Sink<'a> = &'a mut dyn FnMut(&[Cell]) -> Result<()>;

pub struct Table {
    pub name: &'static str,
    pub columns: &'static str,
    pub rows: fn(&Shape, Sink<'_>) -> Result<()>,
}

/// Each table comes after those that its rows refer to.
pub const TABLES: [Table; 6] = [
    Table {
        name: "users",
        columns: "id, username, username_canonical, password, tokens, is_active, is_staff, is_superuser, date_joined, last_login",
        rows: users,
    },
    Table {
        name: "auth_tokens",
        columns: "id, user_id, digest, first_characters, name, created_at, last_used_at, expires_at, revoked_at",
        rows: auth_tokens,
    },
    Table {
        name: "chats",
        columns: "id, user_id, message, response, model, state, charge, failure, origin, created_at, finished_at, deadline",
        rows: chats,
    },
    Table {
        name: "ledger_entries",
        columns: "id, user_id, amount, balance_after, kind, chat_id, actor_id, note, operation_id, created_at",
        rows: entries,
    },
    Table {
        name: "audit_log",
        columns: "id, created_at, actor_id, action, object_kind, object_id, user_id, changes, note, address",
        rows: history,
    },
    Table {
        name: "bulk_operations",
        columns: "id, seed, actor_id, kind, amount, note, selection, ids, total, position, created_at, finished_at",
        rows: bulk_operations,
    },
];

/// The tables of the index. On SQLite, `tollgate reindex` fills them.
pub const INDEXED: &[Table] = &[
    Table { name: "user_balances", columns: "user_id, balance", rows: balances },
    Table { name: "quarter_totals", columns: "quarter, kind, count, amount", rows: quarters },
    Table { name: "chats_to_follow", columns: "chat_id", rows: to_follow },
    Table { name: "user_search", columns: "id, terms", rows: user_terms },
    Table { name: "reason_search", columns: "id, terms", rows: reasons },
    Table { name: "history_search", columns: "id, terms", rows: history_search },
];

/// Not among [`INDEXED`], because it is large.
pub const CHAT_SEARCH: Table = Table { name: "chat_search", columns: "id, terms", rows: chat_terms };

/// The reason of each adjustment.
const REASON: &str = "paid by invoice";

fn text(value: impl Into<String>) -> Cell {
    Cell::Text(value.into())
}

fn maybe<T>(value: Option<T>, cell: fn(T) -> Cell) -> Cell {
    value.map_or(Cell::Null, cell)
}

/// Returns `length` bytes: the id, so that they ascend with it, then bytes that look random.
fn bytes(purpose: u64, id: i64, length: usize) -> Vec<u8> {
    let mut bytes = id.to_be_bytes().to_vec();
    for part in 0.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend(mix(purpose + part, id).to_be_bytes());
    }
    bytes
}

fn users(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    let outcome = shape.play(&mut |_| {});
    for id in 1..=shape.users {
        let joined = shape.joined_at(id);
        let rest = (shape.end - joined).num_seconds().max(1) as f64;
        let login = joined + TimeDelta::seconds((rest * unit(50, id)) as i64);
        let name = username(shape, id);
        let is_admin = id <= ADMINISTRATORS;
        sink(&[
            Cell::Integer(id),
            text(name.clone()),
            text(name),
            // Nobody can sign in with it.
            text("!"),
            Cell::Integer(outcome.balances[id as usize]),
            Cell::Truth(is_admin || mix(51, id) % 100 >= 2),
            Cell::Truth(is_admin),
            Cell::Truth(id <= 5),
            Cell::Time(joined),
            maybe((!mix(52, id).is_multiple_of(5)).then_some(login), Cell::Time),
        ])?;
    }
    Ok(())
}

fn auth_tokens(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const NAMES: [&str; 6] = ["ci", "laptop", "backup", "app", "phone", "script"];
    for id in 1..=shape.users {
        let letters = |n: u64| char::from(LETTERS[(mix(60 + n, id) % 64) as usize]);
        let first: String = "tg_".chars().chain((0..7).map(letters)).collect();
        let chance = mix(67, id) % 100;
        let made = shape.moment(id, shape.users);
        let name = (chance < 10).then(|| format!("{}-{}", NAMES[(mix(68, id) % 6) as usize], id % 1000));
        let expires = (chance < 12).then(|| made + TimeDelta::days((mix(69, id) % 700) as i64));
        let revoked = mix(70, id).is_multiple_of(10).then(|| made + TimeDelta::hours(1));
        sink(&[
            Cell::Integer(id),
            Cell::Integer(1 + (mix(71, id) % shape.users as u64) as i64),
            Cell::Bytes(bytes(72, id, 32)),
            text(first),
            maybe(name, Cell::Text),
            Cell::Time(made),
            maybe(chance.is_multiple_of(2).then_some(made), Cell::Time),
            maybe(expires, Cell::Time),
            maybe(revoked, Cell::Time),
        ])?;
    }
    Ok(())
}

/// Plays everything, and passes the rows that `row` makes of the events to the sink.
fn played(shape: &Shape, sink: Sink<'_>, row: impl Fn(Event) -> Option<Vec<Cell>>) -> Result<()> {
    let mut outcome = Ok(());
    shape.play(&mut |event| {
        if outcome.is_ok()
            && let Some(cells) = row(event)
        {
            outcome = sink(&cells);
        }
    });
    outcome
}

fn chats(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    let row = |event| {
        let Event::Chat(chat) = event else { return None };
        let message = message(shape, chat.id);
        let response = (chat.state == "complete").then(|| format!("Response to {message}"));
        let is_pending = chat.state == "pending";
        Some(vec![
            Cell::Integer(chat.id),
            Cell::Integer(chat.user_id),
            text(message),
            maybe(response, Cell::Text),
            text(chat.model),
            text(chat.state),
            Cell::Integer(100),
            maybe((chat.state == "failed").then(|| "upstream_timeout".to_owned()), Cell::Text),
            text("live"),
            Cell::Time(chat.at),
            maybe((!is_pending).then_some(chat.at), Cell::Time),
            // Ten years away, so that the sweeper does not end the hold while the pages are timed.
            maybe(is_pending.then(|| shape.end + TimeDelta::days(3650)), Cell::Time),
        ])
    };
    played(shape, sink, row)
}

fn entries(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    let row = |event| {
        let Event::Entry(entry) = event else { return None };
        Some(vec![
            Cell::Integer(entry.id),
            Cell::Integer(entry.user_id),
            Cell::Integer(entry.amount),
            Cell::Integer(entry.balance_after),
            text(entry.kind),
            maybe(entry.chat_id, Cell::Integer),
            maybe(entry.actor_id, Cell::Integer),
            text(if entry.kind == "adjustment" { REASON } else { "" }),
            Cell::Bytes(bytes(73, entry.id, 16)),
            Cell::Time(entry.at),
        ])
    };
    played(shape, sink, row)
}

fn history(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    for id in 1..=shape.users / 10 {
        let entry = history_entry(shape, id);
        sink(&[
            Cell::Integer(id),
            Cell::Time(entry.created_at),
            maybe(entry.actor_id, Cell::Integer),
            text(entry.action),
            text(entry.object_kind),
            Cell::Integer(entry.object_id),
            maybe(entry.user_id, Cell::Integer),
            text(entry.changes),
            text(entry.note),
            text(entry.address),
        ])?;
    }
    Ok(())
}

fn history_entry(shape: &Shape, id: i64) -> AuditEntry {
    let user = 1 + (mix(80, id) % shape.users as u64) as i64;
    let (action, kind) = match mix(81, id) % 100 {
        0..80 => ("adjust", "user"),
        80..90 => ("sign_in", "session"),
        90..95 => ("change", "user"),
        95..99 => ("revoke", "auth_token"),
        _ => ("refund", "chat"),
    };
    AuditEntry {
        id,
        created_at: shape.moment(id, shape.users / 10),
        actor_id: Some(1 + (mix(82, id) % 3) as i64),
        action: action.to_owned(),
        object_kind: kind.to_owned(),
        object_id: user,
        user_id: Some(user),
        changes: r#"[{"field":"balance","before":"40","after":"5040"}]"#.to_owned(),
        note: REASON.to_owned(),
        address: "192.0.2.17".to_owned(),
    }
}

fn bulk_operations(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    const COUNT: i64 = 500;
    for id in 1..=COUNT {
        let at = shape.moment(id, COUNT);
        sink(&[
            Cell::Integer(id),
            Cell::Bytes(bytes(83, id, 16)),
            Cell::Integer(1),
            text("adjust"),
            Cell::Integer(500),
            text("goodwill"),
            text("10 ticked users"),
            Cell::Bytes((31..41i64).flat_map(i64::to_be_bytes).collect()),
            Cell::Integer(10),
            Cell::Integer(10),
            Cell::Time(at),
            Cell::Time(at),
        ])?;
    }
    Ok(())
}

fn balances(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    let outcome = shape.play(&mut |_| {});
    for id in 1..=shape.users {
        sink(&[Cell::Integer(id), Cell::Integer(outcome.balances[id as usize])])?;
    }
    Ok(())
}

fn quarters(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    for ((quarter, kind), (count, amount)) in shape.play(&mut |_| {}).quarters {
        sink(&[Cell::Time(quarter), text(kind), Cell::Integer(count), Cell::Integer(amount)])?;
    }
    Ok(())
}

fn to_follow(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    played(shape, sink, |event| match event {
        Event::Chat(chat) if chat.state == "pending" => Some(vec![Cell::Integer(chat.id)]),
        _ => None,
    })
}

fn user_terms(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    for id in 1..=shape.users {
        sink(&[Cell::Integer(id), text(name_terms(id, &username(shape, id)))])?;
    }
    Ok(())
}

fn reasons(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    played(shape, sink, |event| {
        let Event::Entry(entry) = event else { return None };
        let note = if entry.kind == "adjustment" { REASON } else { "" };
        let (id, terms) = reason_terms(&LedgerEntry {
            id: entry.id,
            user_id: entry.user_id,
            amount: entry.amount,
            balance_after: entry.balance_after,
            kind: EntryKind::Adjustment,
            chat_id: entry.chat_id,
            actor_id: entry.actor_id,
            note: note.to_owned(),
            operation_id: Vec::new(),
            created_at: entry.at,
        })?;
        Some(vec![Cell::Integer(id), text(terms)])
    })
}

fn history_search(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    for id in 1..=shape.users / 10 {
        let (id, terms) = history_terms(&history_entry(shape, id));
        sink(&[Cell::Integer(id), text(terms)])?;
    }
    Ok(())
}

fn chat_terms(shape: &Shape, sink: Sink<'_>) -> Result<()> {
    played(shape, sink, |event| {
        let Event::Chat(chat) = event else { return None };
        if chat.state == "pending" {
            return None;
        }
        let answer = if chat.state == "complete" { "Response to" } else { "" };
        let marks = marks(chat.id, chat.user_id, chat.state, chat.model);
        Some(vec![Cell::Integer(chat.id), text(joined(&[&message(shape, chat.id), answer], marks))])
    })
}
