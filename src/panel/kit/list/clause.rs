//! Conditions of filters, before their values are known.

use crate::models::list::{Condition, Value};

/// A condition without its values. The SQL has a `?` for each value.
#[derive(Clone, Copy, Debug)]
pub(in crate::panel) struct Clause {
    sql: &'static str,
    service: Service,
}

/// How an index serves a clause. See [`crate::models::list`].
#[derive(Clone, Copy, Debug)]
enum Service {
    /// No index serves it, so each row is tested.
    Tested,
    /// The index that the list walks serves it.
    Leading,
    /// Another index serves it: this `SELECT`, with the same values, returns the ids.
    Gathered(&'static str),
    /// It leads if the list is sorted by `sort`, and is gathered by `select` otherwise.
    LeadingBy { sort: &'static str, select: &'static str },
}

impl Clause {
    /// A clause that is tested on each row.
    pub(crate) const fn tested(sql: &'static str) -> Clause {
        Clause { sql, service: Service::Tested }
    }

    /// A clause that is served by the index that the list walks.
    pub(crate) const fn leading(sql: &'static str) -> Clause {
        Clause { sql, service: Service::Leading }
    }

    /// A clause with an index of its own: `select` returns the ids, for the same values.
    pub(crate) const fn gathered(sql: &'static str, select: &'static str) -> Clause {
        Clause { sql, service: Service::Gathered(select) }
    }

    /// A clause that leads if the list is sorted by `sort`, and is gathered by `select` otherwise.
    pub(crate) const fn leading_by(sort: &'static str, sql: &'static str, select: &'static str) -> Clause {
        Clause { sql, service: Service::LeadingBy { sort, select } }
    }

    /// Returns the condition for a list in the order `sort`.
    pub(crate) fn with(self, sort: &str, values: Vec<Value>) -> Condition {
        match self.service {
            Service::Tested => Condition::tested(self.sql, values),
            Service::Leading => Condition::leading(self.sql, values),
            Service::LeadingBy { sort: by, .. } if by == sort => Condition::leading(self.sql, values),
            Service::Gathered(select) | Service::LeadingBy { select, .. } => {
                Condition::gathered(self.sql, values, select)
            }
        }
    }
}
