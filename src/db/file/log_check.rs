//! Checks that the write-ahead log still has what was committed to it.
//!
//! SQLite trusts its log. If the log is truncated, SQLite keeps writing after the old end, and the
//! next checkpoint copies the gap into the database. The log's index, in shared memory, has the
//! number of frames that there must be. So this reads the first 32 bytes, the last frame, and the
//! previous last frame in the log itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use diesel::prelude::*;
use diesel::sql_types::Integer;

use crate::db::DbConnection;

const LOG_HEADER: usize = 32;
const FRAME_HEADER: u64 = 24;
/// The first bytes of a log, except the last bit, which is the byte order of its checksums.
const LOG_MAGIC: u32 = 0x377f_0682;
/// The number of attempts, because another process may restart the log between two checks.
const ATTEMPTS: usize = 3;

/// The end of the log at the last check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogEnd {
    frames: u64,
    /// Each restart of the log gives it new salts.
    salts: [u8; 8],
}

/// The result of `PRAGMA wal_checkpoint`.
#[derive(QueryableByName)]
struct Frames {
    #[diesel(sql_type = Integer)]
    log: i32,
}

/// Checks that the log has the frames that it must have. Returns its current end, or `None` if
/// something is missing.
///
/// # Errors
/// Fails if SQLite cannot tell how many frames there must be.
pub(super) fn check(conn: &mut SqliteConnection, log: &File, before: LogEnd) -> QueryResult<Option<LogEnd>> {
    for _ in 0..ATTEMPTS {
        let frames: Frames = diesel::sql_query("PRAGMA wal_checkpoint(NOOP)").get_result(conn)?;
        let Ok(frames) = u64::try_from(frames.log) else { return Ok(Some(LogEnd::default())) };
        if frames == 0 {
            return Ok(Some(LogEnd::default()));
        }
        if let Some(end) = end_of(log, frames, before) {
            return Ok(Some(end));
        }
    }
    Ok(None)
}

/// Checks like [`check`], on either kind of connection. Only SQLite has a log.
pub(super) fn check_on(conn: &mut DbConnection, log: &File, before: LogEnd) -> QueryResult<Option<LogEnd>> {
    match conn {
        DbConnection::Sqlite(conn) => check(conn, log, before),
        DbConnection::Postgres(_) => Ok(Some(before)),
    }
}

fn end_of(log: &File, frames: u64, before: LogEnd) -> Option<LogEnd> {
    let mut header = [0; LOG_HEADER];
    log.read_exact_at(&mut header, 0).ok()?;
    if number_at(&header, 0)? & !1 != LOG_MAGIC {
        return None;
    }
    let page_size = u64::from(number_at(&header, 8)?);
    let salts: [u8; 8] = header.get(16..24)?.try_into().ok()?;
    let size = log.metadata().ok()?.len();
    if size < LOG_HEADER as u64 + frames * (FRAME_HEADER + page_size) {
        return None;
    }
    let has_frame = |number: u64| {
        let place = LOG_HEADER as u64 + (number - 1) * (FRAME_HEADER + page_size);
        let mut frame = [0; FRAME_HEADER as usize];
        log.read_exact_at(&mut frame, place).is_ok() && frame[8..16] == salts
    };
    let is_longer = before.salts == salts && before.frames > 0;
    let is_whole = has_frame(frames) && (!is_longer || has_frame(before.frames));
    is_whole.then_some(LogEnd { frames, salts })
}

fn number_at(bytes: &[u8], place: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(place..place + 4)?.try_into().ok()?))
}
