//! A selection in a list: the rows that were ticked, or all that match.

use sha2::{Digest, Sha256};

use crate::administration::MOST_ROWS;
use crate::clock;
use crate::db::Db;
use crate::error::Error;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::fields::FormView;
use crate::panel::kit::form::Form;
use crate::panel::kit::format;
use crate::panel::kit::list::{List, ListParams, all_ids};
use crate::panel::kit::{PageError, back_to};

/// The rows that an administrator selected.
pub(in crate::panel) struct Selection {
    pub ids: Vec<i64>,
    /// The selection in words, which the operation stores.
    pub words: String,
    /// A note of the list, to be read before confirming.
    pub note: Option<String>,
    /// Whether all rows that match are selected, not single ones.
    is_all: bool,
    /// The list's query string.
    list: String,
}

impl Selection {
    /// Reads a selection from the form of a list, or from a form that carries it on.
    ///
    /// # Errors
    ///
    /// 413 if more than [`MOST_ROWS`] rows match.
    pub(super) async fn read<R: Send>(
        list: &'static List<R>,
        sent: &Form,
        administrator: &Administrator,
        db: &Db,
    ) -> Result<Selection, PageError> {
        let query = sent.text("list").to_owned();
        if !sent.has("all") {
            let mut ids = sent.numbers("id");
            ids.sort_unstable();
            ids.dedup();
            let words =
                format!("{}, ticked one by one", format::counted(ids.len() as i64, list.one, list.many));
            return Ok(Selection { ids, words, note: None, is_all: false, list: query });
        }
        let (preferences, list_query) = (administrator.preferences(), query.clone());
        let read = move |conn: &mut crate::db::DbConnection| {
            let params = ListParams::read(list, &list_query, conn, preferences, clock::now())?;
            let note = list.note.map(|note| note(conn, &list_query)).transpose()?.flatten();
            Ok((all_ids(list, &params, conn, MOST_ROWS)?, params.in_words(), note))
        };
        let (ids, filters, note) = db.read(read).await?;
        let ids = ids.ok_or(Error::BodyTooLarge(0))?;
        let number = format::counted(ids.len() as i64, list.one, list.many);
        let words =
            if filters.is_empty() { format!("{number}: all") } else { format!("{number}: {filters}") };
        Ok(Selection { ids, words, note, is_all: true, list: query })
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
        !self.is_all || sent.text("expected") == self.fingerprint()
    }

    /// The number of rows and a digest of their ids, whatever their order.
    fn fingerprint(&self) -> String {
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
