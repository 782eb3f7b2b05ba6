//! Long texts: SQL functions for them, and pages that fit in memory.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable, Text};

use super::{Keyset, Rows};

/// The lengths of a chat's texts, in bytes: the message, the response, and the rest.
pub(super) type Lengths = (Option<i32>, Option<i32>, Option<i32>);

impl Keyset {
    /// Returns the rows of this page that fit in `bytes`, and at least one. `lengths` are those of
    /// the whole page.
    pub(super) fn fitting<R>(
        self,
        lengths: &[Lengths],
        bytes: usize,
        fetch: impl FnOnce(Keyset) -> QueryResult<Vec<R>>,
    ) -> QueryResult<Rows<R>> {
        let mut sum = 0;
        let sums = lengths.iter().map(|(message, response, rest)| {
            let length = [message, response, rest].into_iter().flatten();
            sum += length.map(|bytes| usize::try_from(*bytes).unwrap_or_default()).sum::<usize>();
            sum
        });
        let number = sums.take_while(|sum| *sum <= bytes).count().max(1).min(lengths.len());
        let limit = i64::try_from(number).unwrap_or(self.limit);
        let is_cut = number < lengths.len();
        let is_full = i64::try_from(lengths.len()).is_ok_and(|count| count >= self.limit);
        // If no row fits, no query is needed.
        let rows = if number == 0 { Vec::new() } else { fetch(Keyset { limit, ..self })? };
        Ok(Rows { rows, has_more: is_cut || is_full })
    }
}

diesel::define_sql_function! {
    /// Returns the length of a text in bytes, without reading all of it.
    fn octet_length(text: Nullable<Text>) -> Nullable<Integer>;
}

diesel::define_sql_function! {
    /// Returns a part of a text: `number` characters, starting at character `from`, counted from 1.
    #[sql_name = "substr"]
    fn part(text: Text, from: Integer, number: Integer) -> Text;
}

diesel::define_sql_function! {
    /// Returns a part of a text like `part`, for a text that may be NULL.
    #[sql_name = "substr"]
    fn part_of(text: Nullable<Text>, from: Integer, number: Integer) -> Nullable<Text>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_rows_that_fit_and_at_least_one() {
        let page = Keyset { limit: 3, before: None };
        for (lengths, bytes, number, has_more) in [
            (&[10, 10, 10][..], 25, 2, true),
            (&[10, 10, 10], 30, 3, true),
            (&[10, 10], 30, 2, false),
            (&[99, 1], 30, 1, true),
            (&[], 30, 0, false),
        ] {
            let lengths: Vec<Lengths> =
                lengths.iter().map(|bytes| (Some(bytes - 1), None, Some(1))).collect();
            let fetch = |page: Keyset| Ok(vec![(); usize::try_from(page.limit).unwrap()]);
            let rows = page.fitting(&lengths, bytes, fetch).unwrap();
            assert_eq!((rows.rows.len(), rows.has_more), (number, has_more), "{lengths:?}");
        }
    }
}
