//! What narrows a list down, as its template shows it: the filters, and those that are set.

use super::days::DAY_PRESETS;
use super::link::{Link, capped};
use super::{Asked, Filter, FilterKind, ListPage};
use crate::models::list::Count;

pub(in crate::panel) struct FilterView {
    pub name: &'static str,
    pub label: &'static str,
    pub choices: Vec<Link>,
    /// What is typed into it, where one types.
    pub text: Option<String>,
    pub is_user: bool,
    /// From and to, where it is a range of days.
    pub days: Option<(String, String)>,
    /// The other parameters of its form.
    pub kept: Vec<(String, String)>,
}

/// An active filter and the list without it.
pub(in crate::panel) struct Chip {
    pub label: String,
    pub value: String,
    pub without: String,
}

pub(super) fn chips(asked: &Asked) -> Vec<Chip> {
    let mut chips: Vec<Chip> = asked
        .picked
        .iter()
        .map(|picked| Chip {
            label: picked.label.to_owned(),
            value: picked.shown.clone(),
            without: format!("?{}", asked.with(picked.name, None)),
        })
        .collect();
    if !asked.words.is_empty() {
        let without = format!("?{}", asked.with("q", None));
        chips.push(Chip { label: "Search".to_owned(), value: asked.words.clone(), without });
    }
    if asked.parameters.contains_key("sort") {
        let way = if asked.descending { "descending" } else { "ascending" };
        let value = format!("{}, {way}", asked.sort.replace('_', " "));
        let without = format!("?{}", asked.with("sort", None));
        chips.push(Chip { label: "Sorted by".to_owned(), value, without });
    }
    chips
}

/// The list without filters and words; the order stays.
pub(super) fn cleared(asked: &Asked) -> String {
    match asked.parameters.get("sort") {
        Some(sort) => format!(
            "?{}",
            url::form_urlencoded::Serializer::new(String::new()).append_pair("sort", sort).finish()
        ),
        None => "?".to_owned(),
    }
}

/// The parameters that stay, but for those named and the place in the list.
pub(super) fn kept(asked: &Asked, without: &[&str]) -> Vec<(String, String)> {
    let is_kept = |name: &str| {
        !["after", "before", "last", "facets"].contains(&name)
            && !without.iter().any(|other| {
                name == *other
                    || name.strip_prefix(other).is_some_and(|rest| ["_from", "_to"].contains(&rest))
            })
    };
    asked
        .parameters
        .iter()
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

pub(super) fn filter_view<R>(filter: &'static Filter, asked: &Asked, found: &ListPage<R>) -> FilterView {
    let value = asked.value(filter.name);
    let counts = found.facets.iter().find(|(name, _)| *name == filter.name).map(|(_, counts)| counts);
    let choice = |label: &str, this: &str, count: Option<&Count>| Link {
        label: count.map_or_else(|| label.to_owned(), |count| format!("{label} ({})", capped(*count))),
        href: format!("?{}", asked.with(filter.name, (!this.is_empty()).then_some(this))),
        is_current: value.unwrap_or_default() == this && (value.is_some() || this.is_empty()),
    };
    let mut choices = Vec::new();
    match filter.kind {
        FilterKind::Choice(all) => {
            choices.push(choice("Any", "", None));
            for (place, one) in all.iter().enumerate() {
                choices.push(choice(one.label, one.value, counts.and_then(|counts| counts.get(place))));
            }
        }
        FilterKind::Days(_) => {
            choices.push(choice("Any time", "", None));
            choices.extend(DAY_PRESETS.iter().map(|(preset, label)| choice(label, preset, None)));
        }
        FilterKind::User(_) | FilterKind::Word(_) => {}
    }
    let parameter = |name: String| asked.parameters.get(&name).cloned().unwrap_or_default();
    let is_typed = matches!(filter.kind, FilterKind::User(_) | FilterKind::Word(_));
    FilterView {
        name: filter.name,
        label: filter.label,
        choices,
        text: is_typed.then(|| value.unwrap_or_default().to_owned()),
        is_user: matches!(filter.kind, FilterKind::User(_)),
        days: matches!(filter.kind, FilterKind::Days(_))
            .then(|| (parameter(format!("{}_from", filter.name)), parameter(format!("{}_to", filter.name)))),
        kept: kept(asked, &[filter.name]),
    }
}
