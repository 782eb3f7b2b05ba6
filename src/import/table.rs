//! A table of the source.

/// A table or a view, as the database describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: String,
    pub columns: Vec<Column>,
}

/// A column of a table or a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// The declared type.
    pub sql_type: String,
    /// Whether the column alone is the primary key.
    pub is_key: bool,
    /// The table that the column refers to.
    pub refers_to: Option<String>,
}

impl Table {
    /// Returns the column with this name, in any letter case.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }
}
