//! The parameters of a list: its query string, parsed by the list's description. Unknown parameters
//! are ignored, so that old bookmarks still work.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use url::form_urlencoded;

use super::amounts::amounts;
use super::days::days;
use super::{Choice, Filter, FilterKind, List};
use crate::db::DbConnection;
use crate::domain::canonical_of;
use crate::error::Result;
use crate::models::User;
use crate::models::list::{Condition, ListQuery, Position, SortKey, Start, Value};
use crate::panel::kit::id_in;
use crate::panel::kit::preferences::Preferences;
use crate::panel::kit::zone::Zone;

/// The parsed query string of a list.
#[derive(Clone, Debug)]
pub(in crate::panel) struct ListParams {
    /// Every parameter that has a value, trimmed.
    pub pairs: BTreeMap<String, String>,
    /// The words to search for, trimmed.
    pub words: String,
    /// The name of the order. Empty if the list has none with a name.
    pub sort: &'static str,
    /// What the order compares.
    pub key: SortKey,
    pub descending: bool,
    /// The filters that are set.
    pub picked: Vec<Picked>,
    /// Where the page starts.
    pub start: Start,
    pub page_size: i64,
    /// Whether the counts of filters are shown.
    pub wants_facets: bool,
    pub now: NaiveDateTime,
    pub zone: Zone,
}

/// A filter that is set.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Picked {
    pub name: &'static str,
    pub label: &'static str,
    /// The value in the query string.
    pub value: String,
    /// The value in words.
    pub shown: String,
    pub condition: Condition,
}

impl ListParams {
    /// Parses `query`. The connection is for finding the user that a filter names.
    pub(crate) fn read<R>(
        list: &List<R>,
        query: &str,
        conn: &mut DbConnection,
        preferences: Preferences,
        now: NaiveDateTime,
    ) -> Result<ListParams> {
        let parameters: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes())
            .filter(|(name, value)| !value.trim().is_empty() && !name.contains('\0') && !value.contains('\0'))
            .map(|(name, value)| (name.into_owned(), value.trim().to_owned()))
            .collect();
        let wanted = parameters.get("sort").map(String::as_str).unwrap_or_default();
        let (name, turned) = wanted.strip_prefix('-').map_or((wanted, false), |name| (name, true));
        let default = list.sorts.first();
        let known = list.sorts.iter().find(|sort| sort.name == name);
        let sort = known.or(default);
        let key = sort.map_or(SortKey::Id, |sort| sort.key);
        let descending = match known {
            Some(_) => turned,
            None => default.is_none_or(|sort| sort.descending_first),
        };
        let mut params = ListParams {
            words: parameters.get("q").cloned().unwrap_or_default(),
            sort: sort.map_or("", |sort| sort.name),
            key,
            descending,
            picked: Vec::new(),
            start: start(&parameters, key),
            page_size: rows_wanted(&parameters).unwrap_or(preferences.page_size),
            wants_facets: parameters.contains_key("facets"),
            now,
            zone: preferences.zone,
            pairs: parameters,
        };
        for filter in list.filters {
            if let Some(picked) = params.pick(filter, conn)? {
                params.picked.push(picked);
            }
        }
        Ok(params)
    }

    /// Returns the query for the page.
    pub(crate) fn query<R>(&self, list: &List<R>) -> ListQuery {
        ListQuery {
            sort: self.key,
            descending: self.descending,
            conditions: self.conditions(),
            start: self.start.clone(),
            page_size: self.page_size,
            ..ListQuery::all(list.rows.from, list.rows.id)
        }
    }

    /// Returns the conditions of the filters. Apart from a range of the order itself, only one of
    /// them leads: an index could not serve two, and the walk would have no bound.
    fn conditions(&self) -> Vec<Condition> {
        let mut has_leader = false;
        let conditions = self.picked.iter().map(|picked| {
            let mut condition = picked.condition.clone();
            condition.leads &= !has_leader;
            has_leader |= condition.leads;
            condition
        });
        conditions.collect()
    }

    /// Whether words or filters hide rows.
    pub(crate) fn is_narrowed(&self) -> bool {
        !self.picked.is_empty() || !self.words.is_empty()
    }

    /// Returns the value of a filter, if it is set.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.picked.iter().find(|picked| picked.name == name).map(|picked| picked.value.as_str())
    }

    /// Returns the values in the condition of a filter, if it is set.
    pub(crate) fn values_of(&self, name: &str) -> Option<&[Value]> {
        let picked = self.picked.iter().find(|picked| picked.name == name)?;
        Some(&picked.condition.values)
    }

    /// Returns the query string of the first page of the list with one parameter changed.
    pub(crate) fn with(&self, name: &str, value: Option<&str>) -> String {
        let changed = value.map(|value| (name, value));
        self.changed(&[name], changed)
    }

    /// Returns the query string of the first page of the list, without some parameters and with
    /// others.
    pub(super) fn changed<'a>(
        &self,
        without: &[&str],
        with: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> String {
        let is_kept =
            |key: &str| !is_place(key) && !without.iter().any(|name| key == *name || is_part_of(key, name));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.pairs.iter().filter(|(key, _)| is_kept(key))).extend_pairs(with).finish()
    }

    /// Returns the query string of another page of the list. `place` is the name of the parameter.
    pub(crate) fn at(&self, place: &str, position: Option<&Position>) -> String {
        let kept = self.pairs.iter().filter(|(key, _)| !is_place(key));
        let text = position.map_or_else(|| "1".to_owned(), written);
        let place = (!place.is_empty()).then_some((place, text.as_str()));
        encode(kept.map(|(key, value)| (key.as_str(), value.as_str())).chain(place))
    }

    /// Returns the query string of this page.
    pub(crate) fn here(&self) -> String {
        encode(self.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// Returns the words and the filters as text, which says what a bulk operation was started for.
    /// Anonymising looks in it for the words after `search`.
    pub(crate) fn in_words(&self) -> String {
        let words = (!self.words.is_empty()).then(|| format!("search {}", self.words));
        let filters =
            self.picked.iter().map(|picked| format!("{} {}", picked.label.to_lowercase(), picked.shown));
        words.into_iter().chain(filters).collect::<Vec<_>>().join(", ")
    }

    fn pick(&self, filter: &'static Filter, conn: &mut DbConnection) -> Result<Option<Picked>> {
        let picked = |value: String, shown: String, condition: Condition| Picked {
            name: filter.name,
            label: filter.label,
            value,
            shown,
            condition,
        };
        if let FilterKind::Days(clause) = filter.kind {
            return Ok(days(&self.pairs, filter.name, self.zone.date_of(self.now)).map(|days| {
                let moments = [days.from, days.to].map(|day| Value::Time(self.zone.start_of(day)));
                picked(days.value, days.shown, clause.with(self.sort, moments.into()))
            }));
        }
        if let FilterKind::Amounts(clause) = filter.kind {
            return Ok(amounts(&self.pairs, filter.name).map(|range| {
                let ends = [range.from, range.to].map(Value::Integer);
                picked(String::new(), range.shown, clause.of(self).with(self.sort, ends.into()))
            }));
        }
        let Some(value) = self.pairs.get(filter.name) else { return Ok(None) };
        Ok(match filter.kind {
            FilterKind::Choice(choices) => match find_choice(choices, value) {
                Some(choice) => {
                    Some(picked(choice.value.to_owned(), choice.label.to_owned(), choice.condition(self)))
                }
                // A code that this version does not know narrows the list all the same.
                None => choices.iter().find_map(Choice::stored_code).map(|clause| {
                    let condition = clause.with(self.sort, vec![Value::Text(value.clone())]);
                    picked(value.clone(), value.clone(), condition)
                }),
            },
            FilterKind::User(clause) => {
                let user = find_user(conn, value)?;
                let shown =
                    user.as_ref().map_or_else(|| format!("{value} (unknown)"), |user| user.username.clone());
                let id = user.map_or(-1, |user| user.id);
                Some(picked(value.clone(), shown, clause.of(self).with(self.sort, vec![Value::Integer(id)])))
            }
            FilterKind::Word(clause) => {
                let condition = clause.with(self.sort, vec![Value::Text(value.clone())]);
                Some(picked(value.clone(), value.clone(), condition))
            }
            FilterKind::Days(_) | FilterKind::Amounts(_) => None,
        })
    }
}

/// Finds a choice by its value, or by the one that it had in an older version.
fn find_choice<'a>(choices: &'a [Choice], value: &str) -> Option<&'a Choice> {
    choices.iter().find(|choice| [choice.value, choice.former].contains(&value))
}

/// Returns the number of rows in the parameter `rows`, by which *Show all* asks for more than
/// usual.
fn rows_wanted(parameters: &BTreeMap<String, String>) -> Option<i64> {
    parameters.get("rows")?.parse().ok().filter(|rows| (1..=MOST_ROWS_OF_A_PAGE).contains(rows))
}

/// The most rows on a page.
pub(in crate::panel) const MOST_ROWS_OF_A_PAGE: i64 = 200;

/// The parameters that say which page of a list is shown.
const PLACES: [&str; 4] = ["after", "before", "last", "facets"];

/// Whether a parameter says which page of a list is shown, and not which rows the list has.
pub(in crate::panel) fn is_place(name: &str) -> bool {
    PLACES.contains(&name)
}

fn is_part_of(key: &str, name: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest == "_from" || rest == "_to")
}

/// Finds a user by name, or by an id such as `#17`.
pub(in crate::panel) fn find_user(conn: &mut DbConnection, text: &str) -> Result<Option<User>> {
    if let Some(user) = User::find_by_name(conn, text, &canonical_of(text))? {
        return Ok(Some(user));
    }
    match id_in(text) {
        Some(id) => Ok(User::find(conn, id)?),
        None => Ok(None),
    }
}

fn encode<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Returns a position as text for the query string: the key, `~`, the id.
fn written(position: &Position) -> String {
    let key = match &position.key {
        None => return position.id.to_string(),
        Some(Value::Integer(number)) => number.to_string(),
        Some(Value::Text(text)) => text.clone(),
        Some(Value::Time(time)) => time.format(TIME).to_string(),
    };
    format!("{key}~{}", position.id)
}

const TIME: &str = "%Y-%m-%dT%H:%M:%S%.f";

fn start(parameters: &BTreeMap<String, String>, key: SortKey) -> Start {
    let position = |name: &str| parameters.get(name).and_then(|text| position(text, key));
    match (position("after"), position("before")) {
        (Some(position), _) => Start::After(position),
        (None, Some(position)) => Start::Before(position),
        (None, None) if parameters.contains_key("last") => Start::Last,
        (None, None) => Start::First,
    }
}

fn position(text: &str, key: SortKey) -> Option<Position> {
    if key == SortKey::Id {
        return Some(Position { key: None, id: text.parse().ok()? });
    }
    let (value, id) = text.rsplit_once('~')?;
    let value = match key {
        SortKey::Integer(_) => Value::Integer(value.parse().ok()?),
        SortKey::Time(_) => {
            Value::Time(NaiveDateTime::parse_from_str(value, TIME).ok().filter(can_be_stored)?)
        }
        SortKey::Text(_) | SortKey::Id => Value::Text(value.to_owned()),
    };
    Some(Position { key: Some(value), id: id.parse().ok()? })
}

/// Whether the year has at most four digits. Neither database could compare other ones.
fn can_be_stored(time: &NaiveDateTime) -> bool {
    (0..=9999).contains(&chrono::Datelike::year(time))
}
