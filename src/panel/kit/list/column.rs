//! The columns of a list: what they show, how wide they are, and when they appear.

use super::Cell;

/// A column of a list.
pub(in crate::panel) struct Column<R> {
    pub label: &'static str,
    /// The name of the [`Sort`](super::Sort) that a click on its head selects.
    pub sort: Option<&'static str>,
    pub width: Width,
    pub appears: Appears,
    /// Whether a window of medium width has no room for it.
    pub is_spare: bool,
    /// Where a phone shows it.
    pub at: At,
    pub cell: fn(&R) -> Cell,
}

/// The width of a column. The table has a fixed layout, so that no content can make it wider than
/// the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Width {
    /// An id, or the link to a row.
    Id,
    /// A time. The column is wider where one has a year.
    Time,
    /// A name. A longer one is cut, and its title has all of it.
    Name,
    /// One or two words, such as a state. The column is wider where they are long.
    Word,
    /// A number, aligned at the right. The column is as wide as its longest number.
    Number,
    /// A part of the width that the other columns leave.
    Rest,
}

/// The most characters of a time without a year.
const SHORT_TIME: usize = 10;
/// The most characters of a short word, such as `complete`.
const SHORT_WORD: usize = 8;

/// Where a phone shows a cell. A row has two lines there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum At {
    /// At the beginning of the first line, or on all of it: what the row is about.
    Lead,
    /// At the end of the first line.
    End,
    /// In the second line, in the order of the columns. There is room for five.
    Note,
    /// At the end of the second line.
    Side,
    /// Nowhere: the row's own page has it.
    Nowhere,
}

impl At {
    /// Returns the CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            At::Lead => "at-lead",
            At::End => "at-end",
            At::Note => "at-note",
            At::Side => "at-side",
            At::Nowhere => "at-none",
        }
    }
}

/// When a column is shown, as long as the administrator has not chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum Appears {
    Always,
    /// If its cells on the page differ from each other.
    IfTelling,
    /// If one of its cells on the page has a value.
    IfAny,
}

impl Width {
    /// Returns the CSS class of a column whose longest text has this number of characters.
    pub(crate) fn class(self, longest: usize) -> String {
        match self {
            Width::Id => "w-id".to_owned(),
            Width::Time => if longest > SHORT_TIME { "w-date" } else { "w-time" }.to_owned(),
            Width::Name => "w-name".to_owned(),
            Width::Word => if longest > SHORT_WORD { "w-words" } else { "w-word" }.to_owned(),
            Width::Rest => "w-rest".to_owned(),
            // In steps, so that the stylesheet has a class for each.
            Width::Number => format!("w-{}", longest.clamp(6, 27).next_multiple_of(3)),
        }
    }

    pub(crate) fn is_number(self) -> bool {
        self == Width::Number
    }
}

impl<R> Column<R> {
    const fn new(label: &'static str, width: Width, cell: fn(&R) -> Cell) -> Column<R> {
        Column { label, sort: None, width, appears: Appears::Always, is_spare: false, at: At::Nowhere, cell }
    }

    /// A column of texts, which takes a part of the width that the others leave.
    pub(crate) const fn text(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column::new(label, Width::Rest, cell)
    }

    /// A column of numbers, which are aligned at the right.
    pub(crate) const fn number(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column::new(label, Width::Number, cell)
    }

    /// A column of times.
    pub(crate) const fn time(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column::new(label, Width::Time, cell)
    }

    /// A column of ids, or of links to the rows.
    pub(crate) const fn id(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column::new(label, Width::Id, cell)
    }

    /// A column of names.
    pub(crate) const fn name(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column::new(label, Width::Name, cell)
    }

    /// A column of one or two words.
    pub(crate) const fn word(label: &'static str, cell: fn(&R) -> Cell) -> Column<R> {
        Column::new(label, Width::Word, cell)
    }

    /// Makes the head a link that sorts by the [`Sort`](super::Sort) with this name.
    pub(crate) const fn sort(mut self, name: &'static str) -> Column<R> {
        self.sort = Some(name);
        self
    }

    /// Hides the column where all its cells are the same.
    pub(crate) const fn if_telling(mut self) -> Column<R> {
        self.appears = Appears::IfTelling;
        self
    }

    /// Hides the column where none of its cells has a value.
    pub(crate) const fn if_any(mut self) -> Column<R> {
        self.appears = Appears::IfAny;
        self
    }

    /// Leaves the column out where the window is of medium width.
    pub(crate) const fn spare(mut self) -> Column<R> {
        self.is_spare = true;
        self
    }

    /// Shows the column at the beginning of the first line of a phone's row.
    pub(crate) const fn lead(mut self) -> Column<R> {
        self.at = At::Lead;
        self
    }

    /// Shows the column at the end of the first line of a phone's row.
    pub(crate) const fn end(mut self) -> Column<R> {
        self.at = At::End;
        self
    }

    /// Shows the column in the second line of a phone's row.
    pub(crate) const fn note(mut self) -> Column<R> {
        self.at = At::Note;
        self
    }

    /// Shows the column at the end of the second line of a phone's row.
    pub(crate) const fn side(mut self) -> Column<R> {
        self.at = At::Side;
        self
    }

    /// Returns the CSS classes of its cells.
    pub(crate) fn class(&self) -> &'static str {
        match (self.width.is_number(), self.is_spare) {
            (true, true) => "number spare",
            (true, false) => "number",
            (false, true) => "spare",
            (false, false) => "",
        }
    }

    /// Returns whether a page shows the column to an administrator who has not chosen.
    pub(crate) fn appears_with(&self, rows: &[R]) -> bool {
        match self.appears {
            Appears::Always => true,
            Appears::IfAny => rows.iter().any(|row| (self.cell)(row) != Cell::Nothing),
            Appears::IfTelling => {
                let mut cells = rows.iter().map(self.cell);
                let first = cells.next();
                cells.any(|cell| Some(&cell) != first.as_ref())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_numbers_is_as_wide_as_its_longest_number() {
        let class = |longest| Width::Number.class(longest);
        assert_eq!([0, 6, 7, 21, 22, 99].map(class), ["w-6", "w-6", "w-9", "w-21", "w-24", "w-27"]);
    }

    #[test]
    fn a_column_of_words_or_times_has_room_for_long_ones() {
        assert_eq!(
            ["complete", "cancelled"].map(|word| Width::Word.class(word.len())),
            ["w-word", "w-words"]
        );
        let times = ["50 min ago", "2 Mar 2027", "25 Feb 2027"];
        assert_eq!(times.map(|time| Width::Time.class(time.len())), ["w-time", "w-time", "w-date"]);
    }

    #[test]
    fn a_column_appears_where_its_cells_differ() {
        let column = Column::text("Model", |row: &&str| Cell::code(row)).if_telling();
        assert!(
            !column.appears_with(&[]) && !column.appears_with(&["a"]) && !column.appears_with(&["a", "a"])
        );
        assert!(column.appears_with(&["a", "a", "b"]) && column.appears_with(&["a", ""]));
    }

    #[test]
    fn a_column_appears_where_a_cell_has_a_value() {
        let column = Column::text("Usage", |row: &&str| Cell::code(row)).if_any();
        assert!(!column.appears_with(&[]) && !column.appears_with(&["", ""]));
        assert!(column.appears_with(&["a"]) && column.appears_with(&["", "a"]));
    }
}
