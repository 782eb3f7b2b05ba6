//! Sends a backup to a superuser. The form has the name of a backup that the server knows, and the
//! file is that of the server's own list: no part of a request becomes a path.

use std::fs::File;
use std::io::{self, Read};

use actix_web::HttpResponse;
use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::web::{self, Bytes, Data};
use futures_util::stream::{self, Stream};

use crate::administration::record_download;
use crate::auth::Auth;
use crate::backup::Backups;
use crate::db::Db;
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Superuser;
use crate::panel::kit::form::Form;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::go;
use crate::panel::kit::paths;

/// The number of bytes that are read at a time.
const PIECE: u64 = 256 * 1024;

/// Sends a backup as a file (`POST /admin/backups/download/`). It is always the whole file: ranges
/// are not offered.
pub(in crate::panel) async fn download(
    administrator: Superuser,
    sent: Form,
    auth: Data<Auth>,
    db: Data<Db>,
    backups: Data<Backups>,
) -> Result<HttpResponse, PageError> {
    let Some((path, backup)) = backups.find(sent.text("backup")) else {
        return elsewhere(&administrator, &auth, "This backup is no longer there.").await;
    };
    let opened = web::block(move || {
        let file = File::open(&path)?;
        let size = file.metadata()?.len();
        Ok::<_, io::Error>((file, size))
    });
    let (file, size) = match opened.await.map_err(io::Error::other).and_then(|opened| opened) {
        Ok(opened) => opened,
        Err(error) => {
            log::warn!("the backup {} cannot be sent: {error}", backup.name);
            return elsewhere(&administrator, &auth, "This backup cannot be read. The log says why.").await;
        }
    };
    record_download(&db, &administrator.0.actor(), &backup.name).await?;
    log::info!("user {} downloads the backup {}", administrator.0.user.id, backup.name);
    let disposition = format!("attachment; filename=\"{}\"", backup.name);
    Ok(HttpResponse::Ok()
        .content_type("application/vnd.sqlite3")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((header::ACCEPT_RANGES, "none"))
        .body(SizedStream::new(size, Box::pin(pieces(file, size)))))
}

/// Leads back to the list, with a message.
async fn elsewhere(
    administrator: &Superuser,
    auth: &Auth,
    why: &'static str,
) -> Result<HttpResponse, PageError> {
    administrator.0.leave_message(auth, Message::warning(why)).await?;
    Ok(go(paths::BACKUPS))
}

/// Reads a file piece by piece, on the threads for blocking work. A file that has become shorter
/// ends in an error, which cuts the connection: the client must not take it for the whole.
fn pieces(file: File, size: u64) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold((file, size), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let read = move || {
            let mut piece = vec![0; usize::try_from(left.min(PIECE)).unwrap_or_default()];
            let count = file.read(&mut piece)?;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
            }
            piece.truncate(count);
            Ok((file, piece))
        };
        let (file, piece) = web::block(read).await.map_err(io::Error::other)??;
        let left = left - piece.len() as u64;
        Ok::<_, io::Error>(Some((Bytes::from(piece), (file, left))))
    })
}
