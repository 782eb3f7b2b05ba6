//! What people can edit of a row, and how each field of it is called and read.

use std::fmt;

use chrono::NaiveDateTime;
use diesel::QueryResult;

use super::Change;
use crate::clock;
use crate::db::DbConnection;

/// The values of a row that people edit together. The history and the panel's conflicts use its
/// fields.
pub trait Editable: Sized + 'static {
    /// The row that holds the values.
    type Row: Send + 'static;

    /// Everything that can be edited, in the order in which it is shown and recorded.
    const FIELDS: &'static [EditableField<Self>];

    /// Returns the values that a row has.
    fn of(row: &Self::Row) -> Self;

    /// Returns the row, if it is there and may still be edited.
    fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Self::Row>>;

    /// Stores the values. Returns `false` if the row has changed since it was read, which is
    /// possible only if the writer's job does not lock it.
    fn store(&self, conn: &mut DbConnection, stored: &Self::Row) -> QueryResult<bool>;

    /// Returns the fields in which the values differ from those of a row, as the history records
    /// them.
    fn differences(&self, stored: &Self::Row) -> Vec<Change> {
        let stored = Self::of(stored);
        let fields = Self::FIELDS.iter().filter_map(|field| {
            let (before, after) = ((field.value)(&stored), (field.value)(self));
            (before != after).then(|| Change::new(field.name, before, after))
        });
        fields.collect()
    }
}

/// A field that people can edit.
pub struct EditableField<T> {
    /// Its name in the panel's forms, and its code in the history. It never changes.
    pub name: &'static str,
    /// Returns its value.
    pub value: fn(&T) -> FieldValue,
}

/// A value of a field. It is displayed as the history records it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// Any text.
    Text(String),
    /// Recorded as `yes` or `no`.
    YesNo(bool),
    /// Recorded as `yes` or `no`; `None`: unknown.
    MaybeYesNo(Option<bool>),
    /// `None`: unknown.
    MaybeNumber(Option<i64>),
    /// `None`: the default of the settings.
    Limit(Option<i64>),
    /// In tokens; `None`: the default of the settings.
    Price(Option<i64>),
    /// `None`: never.
    Time(Option<NaiveDateTime>),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldValue::Text(text) => f.write_str(text),
            FieldValue::YesNo(yes) | FieldValue::MaybeYesNo(Some(yes)) => {
                f.write_str(if *yes { "yes" } else { "no" })
            }
            FieldValue::MaybeYesNo(None) | FieldValue::MaybeNumber(None) => f.write_str("unknown"),
            FieldValue::MaybeNumber(Some(number)) => write!(f, "{number}"),
            FieldValue::Limit(None) | FieldValue::Price(None) => f.write_str("default"),
            FieldValue::Limit(Some(number)) | FieldValue::Price(Some(number)) => write!(f, "{number}"),
            FieldValue::Time(None) => f.write_str("never"),
            FieldValue::Time(Some(time)) => f.write_str(&clock::rfc3339(*time)),
        }
    }
}
