//! Filters as the list's template shows them: the ones on offer, and a chip for each active one.

use super::days::DAY_PRESETS;
use super::link::{Link, capped};
use super::{Choice, Filter, FilterKind, ListPage, ListParams};
use crate::models::list::Count;

/// A filter on offer.
pub(in crate::panel) struct FilterView {
    /// The parameter's name.
    pub name: &'static str,
    pub label: &'static str,
    /// A link for each choice, if they are few.
    pub choices: Vec<Link>,
    /// The choices of its drop-down list, if they are many.
    pub options: Vec<FilterOption>,
    /// The text in its field. `None` if it has no such field.
    pub text: Option<String>,
    /// Whether the text names a user.
    pub is_user: bool,
    /// The two fields of a filter by days.
    pub days: Option<DayFields>,
    /// The other parameters, which its form keeps.
    pub kept: Vec<Parameter>,
}

/// A choice in a drop-down list.
pub(in crate::panel) struct FilterOption {
    pub value: String,
    pub label: String,
    pub is_selected: bool,
}

/// The first and the last day, as they were typed.
pub(in crate::panel) struct DayFields {
    pub from: String,
    pub to: String,
}

/// A parameter of the query string.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::panel) struct Parameter {
    pub name: String,
    pub value: String,
}

/// An active filter, search or sort, and the link that removes it.
pub(in crate::panel) struct Chip {
    pub label: String,
    pub value: String,
    pub without: String,
}

/// Returns the chips of all active filters, of the search and of the sort.
pub(super) fn chips(params: &ListParams) -> Vec<Chip> {
    let mut chips: Vec<Chip> = params
        .picked
        .iter()
        .map(|picked| Chip {
            label: picked.label.to_owned(),
            value: picked.shown.clone(),
            without: format!("?{}", params.with(picked.name, None)),
        })
        .collect();
    if !params.words.is_empty() {
        let without = format!("?{}", params.with("q", None));
        chips.push(Chip { label: "Search".to_owned(), value: params.words.clone(), without });
    }
    if params.pairs.contains_key("sort") {
        let way = if params.descending { "descending" } else { "ascending" };
        let value = format!("{}, {way}", params.sort.replace('_', " "));
        let without = format!("?{}", params.with("sort", None));
        chips.push(Chip { label: "Sorted by".to_owned(), value, without });
    }
    chips
}

/// Returns the link that removes filters and words. The order stays.
pub(super) fn cleared(params: &ListParams) -> String {
    match params.pairs.get("sort") {
        Some(sort) => format!(
            "?{}",
            url::form_urlencoded::Serializer::new(String::new()).append_pair("sort", sort).finish()
        ),
        None => "?".to_owned(),
    }
}

/// Returns the current parameters, except paging and the ones in `without`.
pub(super) fn kept(params: &ListParams, without: &[&str]) -> Vec<Parameter> {
    let is_kept = |name: &str| {
        !["after", "before", "last", "facets"].contains(&name)
            && !without.iter().any(|other| {
                name == *other
                    || name.strip_prefix(other).is_some_and(|rest| ["_from", "_to"].contains(&rest))
            })
    };
    params
        .pairs
        .iter()
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| Parameter { name: name.clone(), value: value.clone() })
        .collect()
}

impl FilterOption {
    fn new(value: &str, label: &str, is_selected: bool) -> FilterOption {
        FilterOption { value: value.to_owned(), label: label.to_owned(), is_selected }
    }
}

/// Returns a filter with its choices, and their counts if they were requested.
pub(super) fn filter_view<R>(
    filter: &'static Filter,
    params: &ListParams,
    found: &ListPage<R>,
) -> FilterView {
    let value = params.value(filter.name);
    let counts = found.facets.iter().find(|facet| facet.filter == filter.name).map(|facet| &facet.counts);
    let choice = |label: &str, this: &str, count: Option<&Count>| Link {
        label: count.map_or_else(|| label.to_owned(), |count| format!("{label} ({})", capped(*count))),
        href: format!("?{}", params.with(filter.name, (!this.is_empty()).then_some(this))),
        is_current: value.unwrap_or_default() == this && (value.is_some() || this.is_empty()),
    };
    let (mut choices, mut options) = (Vec::new(), Vec::new());
    match filter.kind {
        FilterKind::Choice(all) if filter.is_long() => {
            let value = value.unwrap_or_default();
            options.push(FilterOption::new("", "Any", value.is_empty()));
            let option = |one: &Choice| FilterOption::new(one.value, one.label, one.value == value);
            options.extend(all.iter().map(option));
            // A code that this version does not know.
            if options.iter().all(|option| !option.is_selected) {
                options.push(FilterOption::new(value, value, true));
            }
        }
        FilterKind::Choice(all) => {
            choices.push(choice("Any", "", None));
            for (place, one) in all.iter().enumerate() {
                choices.push(choice(one.label, one.value, counts.and_then(|counts| counts.get(place))));
            }
        }
        FilterKind::Days(_) => {
            choices.push(choice("Any time", "", None));
            choices.extend(DAY_PRESETS.iter().map(|preset| choice(preset.label, preset.value, None)));
        }
        FilterKind::User(_) | FilterKind::Word(_) => {}
    }
    let parameter = |name: String| params.pairs.get(&name).cloned().unwrap_or_default();
    let is_typed = matches!(filter.kind, FilterKind::User(_) | FilterKind::Word(_));
    FilterView {
        name: filter.name,
        label: filter.label,
        choices,
        options,
        text: is_typed.then(|| value.unwrap_or_default().to_owned()),
        is_user: matches!(filter.kind, FilterKind::User(_)),
        days: matches!(filter.kind, FilterKind::Days(_)).then(|| DayFields {
            from: parameter(format!("{}_from", filter.name)),
            to: parameter(format!("{}_to", filter.name)),
        }),
        kept: kept(params, &[filter.name]),
    }
}
