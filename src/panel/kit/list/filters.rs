//! Filters as the list's template shows them: the ones on offer, and a chip for each active one.

use chrono::Datelike;

use super::days::{DAY_PRESETS, Period};
use super::link::{Link, capped};
use super::{Choice, Filter, FilterKind, ListPage, ListParams};

/// The most years before this one that a filter by days links to.
const MOST_YEARS: i32 = 20;

/// A filter on offer: a row of the form.
pub(in crate::panel) struct FilterView {
    /// The parameter's name.
    pub name: &'static str,
    pub label: &'static str,
    /// The choices of its drop-down list. Empty if it has none.
    pub options: Vec<FilterOption>,
    /// The text in its field. `None` if it has no such field.
    pub text: Option<String>,
    /// Whether the text names a user.
    pub is_user: bool,
    /// The fields for both ends of a range.
    pub range: Option<RangeFields>,
    /// The links from years to days.
    pub way: Vec<Link>,
}

/// A choice in a drop-down list.
pub(in crate::panel) struct FilterOption {
    pub value: String,
    pub label: String,
    pub is_selected: bool,
}

/// The first and the last value of a range, as they were typed.
pub(in crate::panel) struct RangeFields {
    pub from: String,
    pub to: String,
    /// Whether they are days. Otherwise they are amounts.
    pub are_days: bool,
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
    let query = params.changed(without, []);
    let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned();
    pairs.map(|(name, value)| Parameter { name, value }).collect()
}

impl FilterOption {
    fn new(value: &str, label: String, is_selected: bool) -> FilterOption {
        FilterOption { value: value.to_owned(), label, is_selected }
    }
}

/// Returns the options of a filter. A value that is not among them is added.
fn options(any: &str, offered: Vec<(&str, String)>, value: &str) -> Vec<FilterOption> {
    let any = FilterOption::new("", any.to_owned(), value.is_empty());
    let option = |(one, label): (&str, String)| FilterOption::new(one, label, one == value);
    let mut options: Vec<FilterOption> =
        std::iter::once(any).chain(offered.into_iter().map(option)).collect();
    if options.iter().all(|option| !option.is_selected) {
        let label = Period::parse(value).map_or_else(|| value.to_owned(), Period::label);
        options.push(FilterOption::new(value, label, true));
    }
    options
}

/// Returns the links by which a filter by days leads from years to days.
fn way(filter: &Filter, params: &ListParams, first_year: Option<i32>) -> Vec<Link> {
    let today = params.zone.date_of(params.now);
    let link = |period: Period, label: String, is_current| Link {
        label,
        href: format!("?{}", params.with(filter.name, Some(&period.value()))),
        is_current,
        count: String::new(),
    };
    let Some(period) = params.value(filter.name).and_then(Period::parse) else {
        let this_year = today.year();
        let years = first_year.unwrap_or(this_year).max(this_year - MOST_YEARS)..=this_year;
        let years = years.rev().filter_map(|year| Period::parse(&year.to_string()));
        return years.map(|year| link(year, year.label(), false)).collect();
    };
    let way = period.way().into_iter().map(|part| link(part, part.short_label(), part == period));
    way.chain(period.parts(today).into_iter().map(|part| link(part, part.short_label(), false))).collect()
}

/// Returns a filter as a row of the form, with counts of its choices if they were requested.
pub(super) fn filter_view<R>(
    filter: &'static Filter,
    params: &ListParams,
    found: &ListPage<R>,
) -> FilterView {
    let value = params.value(filter.name).unwrap_or_default();
    let counts = found.facets.iter().find(|facet| facet.filter == filter.name).map(|facet| &facet.counts);
    let counted = |place: usize, one: &Choice| match counts.and_then(|counts| counts.get(place)) {
        Some(Some(count)) => format!("{} ({})", one.label, capped(*count)),
        _ => one.label.to_owned(),
    };
    let is_typed = matches!(filter.kind, FilterKind::User(_) | FilterKind::Word(_));
    let are_days = matches!(filter.kind, FilterKind::Days(_));
    let end = |end: &str| params.pairs.get(&format!("{}_{end}", filter.name)).cloned().unwrap_or_default();
    FilterView {
        name: filter.name,
        label: filter.label,
        options: match filter.kind {
            FilterKind::Choice(all) => {
                let offered = all.iter().enumerate().map(|(place, one)| (one.value, counted(place, one)));
                options("Any", offered.collect(), value)
            }
            FilterKind::Days(_) => {
                let offered = DAY_PRESETS.iter().map(|preset| (preset.value, preset.label.to_owned()));
                options("Any time", offered.collect(), value)
            }
            FilterKind::User(_) | FilterKind::Word(_) | FilterKind::Amounts(_) => Vec::new(),
        },
        text: is_typed.then(|| value.to_owned()),
        is_user: matches!(filter.kind, FilterKind::User(_)),
        range: (are_days || matches!(filter.kind, FilterKind::Amounts(_))).then(|| RangeFields {
            from: end("from"),
            to: end("to"),
            are_days,
        }),
        way: if are_days { way(filter, params, found.first_year) } else { Vec::new() },
    }
}
