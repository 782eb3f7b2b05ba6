//! Whether the write-ahead log still holds what was committed to it.
//!
//! SQLite trusts its log: where somebody cut it short, it goes on writing behind the end, and copies the gap into the
//! database at the next checkpoint. The log's index, in shared memory, knows how many frames there must be; so the first
//! 32 bytes, the last frame, and the frame that was last before are looked at in the log itself.

use std::fs::File;
use std::os::unix::fs::FileExt;

use diesel::prelude::*;
use diesel::sql_types::Integer;

use crate::db::DbConnection;

const LOG_HEADER: usize = 32;
const FRAME_HEADER: u64 = 24;
/// The first bytes of a log, but for the last bit, which tells the order of bytes in its checksums.
const LOG_MAGIC: u32 = 0x377f_0682;
/// Another process may begin the log anew between two looks.
const LOOKS: usize = 3;

/// Where the log ended when it was last looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LogEnd {
    frames: u64,
    /// Each time the log is begun anew, it gets others.
    salts: [u8; 8],
}

/// What `PRAGMA wal_checkpoint` answers.
#[derive(QueryableByName)]
struct Frames {
    #[diesel(sql_type = Integer)]
    log: i32,
}

/// Looks for the frames that the log must have. Returns where it ends now; `None`: something is missing.
///
/// # Errors
/// When SQLite cannot say how many there must be.
pub(super) fn look(conn: &mut SqliteConnection, log: &File, before: LogEnd) -> QueryResult<Option<LogEnd>> {
    for _ in 0..LOOKS {
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

/// The same on either kind of connection; a log is SQLite's.
pub(super) fn look_on(conn: &mut DbConnection, log: &File, before: LogEnd) -> QueryResult<Option<LogEnd>> {
    match conn {
        DbConnection::Sqlite(conn) => look(conn, log, before),
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
