//! The pages of Anthropic's list of models.

use actix_web::web::Query;
use serde::Deserialize;

use crate::chat::OfferedName;
use crate::domain::Invalid;

/// The models of a page if the request does not say, and the most.
const LIMITS: (usize, usize) = (20, 1000);

/// The query of the list. `limit` is a text, so that a wrong number gets an error of the dialect.
#[derive(Deserialize)]
struct ModelsQuery {
    limit: Option<String>,
    after_id: Option<String>,
    before_id: Option<String>,
}

/// Where a page begins or ends.
#[derive(Debug)]
enum Place {
    Start,
    After(String),
    Before(String),
}

/// Which models of the list are wanted.
#[derive(Debug)]
pub(super) struct ModelsPage {
    limit: usize,
    place: Place,
}

impl ModelsPage {
    /// Parses a query.
    ///
    /// # Errors
    /// The parameter at fault.
    pub(super) fn parse(query: &str) -> Result<ModelsPage, Invalid> {
        let unreadable = |_| Invalid::new("query", "give each parameter once");
        let query = Query::<ModelsQuery>::from_query(query).map_err(unreadable)?.into_inner();
        let limit = match query.limit.as_deref().map(str::parse) {
            None => LIMITS.0,
            Some(Ok(limit)) if (1..=LIMITS.1).contains(&limit) => limit,
            Some(_) => return Err(Invalid::new("limit", "give a whole number from 1 to 1000")),
        };
        let place = match (query.after_id, query.before_id) {
            (None, None) => Place::Start,
            (Some(id), None) => Place::After(id),
            (None, Some(id)) => Place::Before(id),
            (Some(_), Some(_)) => {
                return Err(Invalid::new("before_id", "give either after_id or before_id"));
            }
        };
        Ok(ModelsPage { limit, place })
    }

    /// Returns the page of all names, and whether there are more in the same direction.
    ///
    /// # Errors
    /// The parameter with an id that is not in the list.
    pub(super) fn of<'a>(&self, names: &'a [OfferedName]) -> Result<(&'a [OfferedName], bool), Invalid> {
        let find = |field, id: &str| {
            let place = names.iter().position(|name| name.name == id);
            place.ok_or_else(|| Invalid::new(field, "give the id of a model of the list"))
        };
        let (from, to) = match &self.place {
            Place::Start => (0, names.len()),
            Place::After(id) => (find("after_id", id)? + 1, names.len()),
            Place::Before(id) => {
                let to = find("before_id", id)?;
                let from = to.saturating_sub(self.limit);
                return Ok((&names[from..to], from > 0));
            }
        };
        let end = to.min(from + self.limit);
        Ok((&names[from..end], end < to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> (String, bool) {
        let name = |letter: char| OfferedName { name: letter.to_string(), model: "m".to_owned() };
        let names: Vec<_> = ('a'..='z').map(name).collect();
        let (names, has_more) = ModelsPage::parse(query).unwrap().of(&names).unwrap();
        (names.iter().map(|name| name.name.as_str()).collect(), has_more)
    }

    #[test]
    fn a_list_has_pages_in_both_directions() {
        for (query, wanted, has_more) in [
            ("", "abcdefghijklmnopqrst", true),
            ("limit=26", "abcdefghijklmnopqrstuvwxyz", false),
            ("limit=1000", "abcdefghijklmnopqrstuvwxyz", false),
            ("after_id=b&limit=2", "cd", true),
            ("after_id=x&limit=2", "yz", false),
            ("after_id=z", "", false),
            ("before_id=d&limit=2", "bc", true),
            ("before_id=c&limit=2", "ab", false),
            ("before_id=a", "", false),
        ] {
            assert_eq!(page(query), (wanted.to_owned(), has_more), "{query}");
        }
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("limit=x", "limit"),
            ("after_id=a&before_id=b", "before_id"),
            ("limit=1&limit=2", "query"),
        ] {
            assert_eq!(ModelsPage::parse(query).unwrap_err().field, field);
        }
        for query in ["after_id=none", "before_id=none"] {
            assert!(ModelsPage::parse(query).unwrap().of(&[]).is_err(), "{query}");
        }
    }
}
