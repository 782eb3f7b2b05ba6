//! What a filter asks of rows, before it is known what they are compared with.

use crate::models::list::{Condition, Value};

/// A condition without its values. The text has a `?` for each of them.
#[derive(Clone, Copy, Debug)]
pub(in crate::panel) struct Clause {
    sql: &'static str,
    service: Service,
}

/// How an index serves a clause; see [`crate::models::list`].
#[derive(Clone, Copy, Debug)]
enum Service {
    /// None does.
    Tested,
    Leading,
    /// By a `SELECT` of the ids with the same values.
    Gathered(&'static str),
    /// The same, but it leads where the list is sorted by `sort`.
    LeadingBy {
        sort: &'static str,
        select: &'static str,
    },
}

impl Clause {
    /// Tested on each row.
    pub(crate) const fn tested(sql: &'static str) -> Clause {
        Clause { sql, service: Service::Tested }
    }

    /// Served by the index that the list walks.
    pub(crate) const fn leading(sql: &'static str) -> Clause {
        Clause { sql, service: Service::Leading }
    }

    /// Served by an index of its own: `select` gives the ids.
    pub(crate) const fn gathered(sql: &'static str, select: &'static str) -> Clause {
        Clause { sql, service: Service::Gathered(select) }
    }

    /// Served by the index that the list walks where it is sorted by `sort`, and by an index of its
    /// own elsewhere.
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
