//! Removing the names of an anonymised user from texts about other things: from notes and values in
//! the audit log, from the notes and selections of bulk operations, and from saved views.

use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::error::Result;
use crate::index::search;
use crate::models::{AuditEntry, BulkOperation, NAME_GONE, SavedView};

/// How many rows one read searches.
const LOOKED_AT: i64 = 2_000;

/// Returns all names that a user has had, as far as the audit log has them, in lower case.
pub(super) async fn names_of(db: &Db, user_id: i64, last_name: &str) -> Result<Vec<String>> {
    let mut names = vec![last_name.to_lowercase()];
    let mut after = 0;
    loop {
        let read = move |conn: &mut DbConnection| {
            let ids = AuditEntry::ids_of_user(conn, user_id, after, BULK_ROWS)?;
            Ok((ids.last().copied(), AuditEntry::find_many(conn, &ids)?))
        };
        let (last, entries) = db.read(read).await?;
        let Some(last) = last else { break };
        after = last;
        for change in entries.iter().flat_map(AuditEntry::changes).filter(|change| change.field == "username")
        {
            names.extend([change.before.to_lowercase(), change.after.to_lowercase()]);
        }
    }
    let is_a_name = |name: &String| !name.is_empty() && !name.starts_with("anonymous-") && name != NAME_GONE;
    names.retain(is_a_name);
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Blanks all entries of the audit log and all bulk operations that contain one of the names,
/// except the operation `own`, which still needs the name to start again after a crash. Saved views
/// that contain one are deleted.
pub(super) async fn forget_names(db: &Db, names: &[String], own: i64) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    forget_views(db, names).await?;
    let mut after = 0;
    loop {
        let texts = db.read(move |conn| Ok(AuditEntry::texts_after(conn, after, LOOKED_AT)?)).await?;
        let Some((last, ..)) = texts.last() else { break };
        after = *last;
        let has_name =
            |(_, changes, note): &&(i64, String, String)| names_in(changes, names) || names_in(note, names);
        let ids: Vec<i64> = texts.iter().filter(has_name).map(|(id, ..)| *id).collect();
        for part in ids.chunks(usize::try_from(BULK_ROWS).unwrap_or(usize::MAX)) {
            let part = part.to_vec();
            db.write_bulk(Scope::none(), move |conn| search::blank_entries(conn, &part)).await?;
        }
    }
    let mut after = 0;
    loop {
        let texts = db.read(move |conn| Ok(BulkOperation::texts_after(conn, after, LOOKED_AT)?)).await?;
        let Some((last, ..)) = texts.last() else { return Ok(()) };
        after = *last;
        for (id, selection, note) in texts.into_iter().filter(|(id, ..)| *id != own) {
            let in_selection = names_in(&selection, names) || was_searched(&selection, names);
            let in_note = names_in(&note, names);
            if in_selection || in_note {
                let job =
                    move |conn: &mut DbConnection| Ok(BulkOperation::blank(conn, id, in_selection, in_note)?);
                db.write_bulk(Scope::none(), job).await?;
            }
        }
    }
}

async fn forget_views(db: &Db, names: &[String]) -> Result<()> {
    let views = db.read(|conn| Ok(SavedView::texts(conn)?)).await?;
    let has_name =
        |(_, name, query): &&(i64, String, String)| names_in(name, names) || filters_by(query, names);
    let ids: Vec<i64> = views.iter().filter(has_name).map(|(id, ..)| *id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    db.write_bulk(Scope::none(), move |conn| Ok(SavedView::delete_many(conn, &ids).map(|_| ())?)).await
}

/// Whether a list's query string searches or filters by one of the names. The values of all other
/// parameters are chosen and not typed: `balance=low` has nothing to do with `lowell`.
fn filters_by(query: &str, names: &[String]) -> bool {
    url::form_urlencoded::parse(query.as_bytes()).any(|(parameter, value)| match parameter.as_ref() {
        "q" => names_in(&value, names) || is_part(&value.to_lowercase(), names),
        "user" | "actor" => names_in(&value, names),
        _ => false,
    })
}

/// Whether a selection was made by searching for a part of one of the names.
fn was_searched(selection: &str, names: &[String]) -> bool {
    let selection = selection.to_lowercase();
    is_part(selection.split_once("search ").map_or("", |(_, words)| words), names)
}

/// Whether one of the searched words, in lower case, is a part of one of the names.
fn is_part(searched: &str, names: &[String]) -> bool {
    let mut words = searched.split([' ', ',']).filter(|word| word.chars().count() > 2);
    words.any(|word| names.iter().any(|name| name.contains(word)))
}

/// Whether a text contains one of the names as a whole word. The names are in lower case.
fn names_in(text: &str, names: &[String]) -> bool {
    let text = text.to_lowercase();
    let is_of_a_name = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    names.iter().any(|name| {
        text.match_indices(name.as_str()).any(|(start, found)| {
            let before = text[..start].chars().next_back();
            // A full stop after the name may be the end of the sentence.
            let mut after = text[start + found.len()..].chars();
            let ends = match after.next() {
                Some('.') => after.next().is_none_or(|next| !is_of_a_name(next)),
                next => next.is_none_or(|next| !is_of_a_name(next)),
            };
            before.is_none_or(|before| !is_of_a_name(before)) && ends
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_a_word_and_not_in_other_words() {
        let names = ["ada".to_owned(), "ada.love".to_owned()];
        for text in ["ada", "a gift for Ada.", "[{\"before\":\"ada\"}]", "ada, bob", "user ADA.love", "(ada)"]
        {
            assert!(names_in(text, &names), "{text}");
        }
        for text in ["", "adamant", "nevada", "ada.lovelace", "ada-2", "x@ada", "Bob"] {
            assert!(!names_in(text, &names), "{text}");
        }
    }

    #[test]
    fn only_what_was_typed_into_a_view_can_be_a_name() {
        let names = ["lowell".to_owned(), "yes.zero".to_owned()];
        for query in ["q=well", "q=a+LOWELL", "user=lowell", "actor=yes.zero&state=failed"] {
            assert!(filters_by(query, &names), "{query}");
        }
        for query in ["balance=low&chatted=7days", "active=yes", "balance=zero", "q=lo", "user=low", ""] {
            assert!(!filters_by(query, &names), "{query}");
        }
    }
}
