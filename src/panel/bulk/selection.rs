//! A selection in a list: the rows that were ticked, or all that match.

use sha2::{Digest, Sha256};

use crate::administration::MOST_ROWS;
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::error::Error;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::format;
use crate::panel::kit::list::{List, ListParams, all_ids, first_ids};
use crate::panel::kit::{PageError, back_to};

/// The most rows that match and whose ids are read before the administrator confirms. Reading those
/// of a million rows would take too long for a page.
const MOST_READ: i64 = 10_000;

/// What the fingerprint of rows that were read only in part begins with. Their number follows.
const AT_LEAST: &str = "at-least-";

/// The rows that an administrator selected.
pub(in crate::panel) struct Selection {
    /// Their ids: all of them, or the first ones.
    pub ids: Vec<i64>,
    /// Whether these are the ids of all selected rows.
    pub is_whole: bool,
    /// The selection in words, which the operation stores.
    pub words: String,
    /// A note of the list, to be read before confirming.
    pub note: Option<String>,
    /// Whether all rows that match are selected, not single ones.
    is_all: bool,
    /// The list's query string.
    list: String,
}

/// How much of a selection is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// As much as a page may read.
    First,
    /// Everything.
    Whole,
}

impl Selection {
    /// Reads a selection from the form of a list, or from a form that carries it on. If more rows
    /// match than a page may read, it has the first ones.
    pub(super) async fn read<R: Send>(
        list: &'static List<R>,
        sent: &Form,
        administrator: &Administrator,
        db: &Db,
    ) -> Result<Selection, PageError> {
        if sent.has("all") {
            let first = Selection::of_matching(list, sent, administrator, db, Extent::First).await?;
            // A busy server may have less time than when it made the form, which has all rows.
            let expected = sent.text("expected");
            let had_all = !expected.is_empty() && !expected.starts_with(AT_LEAST);
            return if had_all { first.whole(list, sent, administrator, db).await } else { Ok(first) };
        }
        let mut ids = sent.numbers("id");
        ids.sort_unstable();
        ids.dedup();
        let words = format!("{}, ticked one by one", format::counted(ids.len() as i64, list.one, list.many));
        let query = sent.text("list").to_owned();
        Ok(Selection { ids, is_whole: true, words, note: None, is_all: false, list: query })
    }

    /// Reads the ids of all selected rows.
    ///
    /// # Errors
    ///
    /// 413 if more than [`MOST_ROWS`] rows match.
    pub(super) async fn whole<R: Send>(
        self,
        list: &'static List<R>,
        sent: &Form,
        administrator: &Administrator,
        db: &Db,
    ) -> Result<Selection, PageError> {
        if self.is_whole {
            return Ok(self);
        }
        Selection::of_matching(list, sent, administrator, db, Extent::Whole).await
    }

    async fn of_matching<R: Send>(
        list: &'static List<R>,
        sent: &Form,
        administrator: &Administrator,
        db: &Db,
        extent: Extent,
    ) -> Result<Selection, PageError> {
        let query = sent.text("list").to_owned();
        let (preferences, list_query) = (administrator.preferences(), query.clone());
        let read = move |conn: &mut DbConnection| {
            let params = ListParams::read(list, &list_query, conn, preferences, clock::now())?;
            let note = list.note.map(|note| note(conn, &list_query)).transpose()?.flatten();
            let (ids, is_whole) = match extent {
                Extent::First => first_ids(list, &params, conn, MOST_READ)?,
                Extent::Whole => {
                    (all_ids(list, &params, conn, MOST_ROWS)?.ok_or(Error::BodyTooLarge(0))?, true)
                }
            };
            Ok((ids, is_whole, params.in_words(), note))
        };
        let (ids, is_whole, filters, note) = db.read(read).await?;
        let number = format::counted(ids.len() as i64, list.one, list.many);
        let number = if is_whole { number } else { format!("at least {number}") };
        let words =
            if filters.is_empty() { format!("{number}: all") } else { format!("{number}: {filters}") };
        Ok(Selection { ids, is_whole, words, note, is_all: true, list: query })
    }

    /// Adds the selection to a form, in hidden fields. For all that match this includes a
    /// fingerprint, so that the administrator confirms exactly these rows, not as many others.
    pub(super) fn carry(&self, mut form: FormView) -> FormView {
        form = form.hide("list", &self.list);
        if self.is_all {
            return form.hide("all", "1").hide("expected", self.fingerprint());
        }
        self.ids.iter().fold(form, |form, id| form.hide("id", id.to_string()))
    }

    /// Whether these are still the rows for which the form was made.
    pub(super) fn is_as_expected(&self, sent: &Form) -> bool {
        !self.is_all || self.fits(sent.text("expected"))
    }

    /// Whether a fingerprint is of these rows. If not all of them could be read then, the
    /// administrator knows that there are at least so many, and confirms all that match now.
    fn fits(&self, expected: &str) -> bool {
        match expected.strip_prefix(AT_LEAST) {
            Some(number) => {
                let number = number.parse().unwrap_or(usize::MAX);
                !self.is_whole || self.ids.len() >= number
            }
            None => self.is_whole && expected == self.fingerprint(),
        }
    }

    /// The number of rows and a digest of their ids, whatever their order.
    fn fingerprint(&self) -> String {
        if !self.is_whole {
            return format!("{AT_LEAST}{}", self.ids.len());
        }
        let mut ids = self.ids.clone();
        ids.sort_unstable();
        let mut digest = Sha256::new();
        ids.iter().for_each(|id| digest.update(id.to_be_bytes()));
        let start: String = digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{start}", ids.len())
    }

    /// The link back to the list in which the rows were selected.
    pub(super) fn back(&self, path: &str) -> String {
        back_to(path, &self.list).unwrap_or_else(|| path.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Selection;

    fn selection(ids: std::ops::Range<i64>, is_whole: bool) -> Selection {
        let (words, list) = (String::new(), String::new());
        Selection { ids: ids.collect(), is_whole, words, note: None, is_all: true, list }
    }

    #[test]
    fn a_form_fits_the_rows_it_was_made_for() {
        let (few, part) = (selection(0..7, true), selection(0..5, false));
        for (now, then, fits) in [
            (&few, &few, true),
            (&few, &selection(1..8, true), false),
            // The server was slower when it made the form.
            (&few, &part, true),
            (&part, &part, true),
            (&selection(0..9, false), &part, true),
            (&selection(0..4, true), &part, false),
            // It read all rows then. `Selection::read` reads them all again.
            (&part, &few, false),
        ] {
            assert_eq!(now.fits(&then.fingerprint()), fits, "{:?} then {:?}", now.ids, then.ids);
        }
        assert!(!few.fits("") && !few.fits("at-least-") && !few.fits("many"));
    }
}
