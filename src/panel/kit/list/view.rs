//! A list as its template shows it: every text and every link is ready.

use actix_web::HttpResponse;
use askama::Template;

use super::filters::{Chip, FilterView, Parameter, chips, cleared, filter_view, kept};
use super::link::{Link, capped};
use super::params::MOST_ROWS_OF_A_PAGE;
use super::{BulkAction, Cell, FilterKind, List, ListPage, ListParams, Tab};
use crate::models::list::{Count, Start};
use crate::panel::kit::PageError;
use crate::panel::kit::page::{Frame, page};

/// Everything that `templates/admin/list.html` shows.
pub(in crate::panel) struct ListView {
    pub path: &'static str,
    pub many: &'static str,
    /// The query string of this very page, to come back to.
    pub here: String,
    pub words: String,
    pub search_help: Option<&'static str>,
    /// The other parameters, for the search form and the forms of filters.
    pub kept: Vec<Parameter>,
    pub tabs: Vec<Link>,
    pub filters: Vec<FilterView>,
    pub chips: Vec<Chip>,
    pub clear: String,
    pub facets: Option<String>,
    pub count: String,
    /// How many match, for "all that match".
    pub matching: String,
    /// Where all rows fit on one page.
    pub show_all: Option<ShowAll>,
    pub heads: Vec<Head>,
    pub rows: Vec<Row>,
    pub actions: &'static [BulkAction],
    pub first: Option<String>,
    pub previous: Option<String>,
    pub next: Option<String>,
    pub last: Option<String>,
    /// Where the bound ended the walk: the link that looks further.
    pub look_further: Option<String>,
    pub empty: &'static str,
    /// There are filters or words that hide rows.
    pub is_narrowed: bool,
    /// What else there is to know about these rows.
    pub notes: Vec<String>,
}

pub(in crate::panel) struct Head {
    pub label: &'static str,
    pub is_number: bool,
    /// Where a click leads, if one can sort by it.
    pub href: Option<String>,
    /// `ascending` or `descending`, if this is the order.
    pub order: Option<&'static str>,
}

pub(in crate::panel) struct Row {
    pub id: i64,
    pub label: String,
    pub cells: Vec<RowCell>,
}

/// A cell, and the head of its column.
pub(in crate::panel) struct RowCell {
    pub label: &'static str,
    pub is_number: bool,
    pub cell: Cell,
}

/// The link that shows all rows on one page, and how many they are.
pub(in crate::panel) struct ShowAll {
    pub href: String,
    pub number: i64,
}

/// A list with nothing on its page but the list.
#[derive(Template)]
#[template(path = "admin/plain_list.html")]
struct PlainPage {
    frame: Frame,
    list: ListView,
}

impl ListView {
    /// The page of a list that needs no more than every list has.
    pub(crate) fn show(self, frame: Frame) -> Result<HttpResponse, PageError> {
        page(&PlainPage { frame, list: self }).map_err(PageError::from)
    }

    pub(crate) fn new<R>(list: &List<R>, params: &ListParams, found: &ListPage<R>) -> ListView {
        let page = &found.page;
        let first = found.page.rows.first();
        let last = found.page.rows.last();
        let link = |place: &str, position| format!("?{}", params.at(place, position));
        // Where the bound ended the walk, there may be more, but not behind the last row that is shown.
        let is_backwards = matches!(params.start, Start::Before(_) | Start::Last);
        let ends_ahead = page.looked_until.is_some() && !is_backwards;
        let look_further = page
            .looked_until
            .as_ref()
            .map(|position| link(if is_backwards { "before" } else { "after" }, Some(position)));
        ListView {
            path: list.path,
            many: list.many,
            here: params.here(),
            words: params.words.clone(),
            search_help: list.search.as_ref().and_then(|search| search.help),
            kept: kept(params, &["q"]),
            tabs: tabs(list, params),
            filters: list.filters.iter().map(|filter| filter_view(filter, params, found)).collect(),
            chips: chips(params),
            clear: cleared(params),
            facets: (!params.wants_facets && list.has_choices() && found.count.is_some())
                .then(|| format!("?{}&facets=1", params.here())),
            count: with_total(matching(list, found), found),
            matching: matching(list, found),
            show_all: show_all(params, found.count),
            heads: heads(list, params),
            rows: found.rows.iter().map(|row| list.row(row, &params.here())).collect(),
            actions: list.actions,
            first: page.has_previous.then(|| link("", None)),
            previous: first.filter(|_| page.has_previous).map(|row| link("before", Some(row))),
            next: last.filter(|_| page.has_next && !ends_ahead).map(|row| link("after", Some(row))),
            last: (page.has_next && !ends_ahead).then(|| link("last", None)),
            look_further,
            empty: list.empty,
            is_narrowed: params.is_narrowed(),
            notes: Vec::new(),
        }
    }
}

impl ListView {
    /// Takes a column away from whom it does not concern.
    pub(crate) fn leave_out(&mut self, label: &str) {
        self.heads.retain(|head| head.label != label);
        for row in &mut self.rows {
            row.cells.retain(|cell| cell.label != label);
        }
    }
}

impl<R> List<R> {
    fn has_choices(&self) -> bool {
        self.filters.iter().any(|filter| matches!(filter.kind, FilterKind::Choice(_)))
    }

    /// A row whose main link carries the list's query string, so that one comes back to the same page of it.
    fn row(&self, row: &R, here: &str) -> Row {
        let cell = |column: &super::Column<R>| match (column.cell)(row) {
            Cell::Main { text, href } if !here.is_empty() => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                Cell::Main { text, href: format!("{href}?{}", query.append_pair("list", here).finish()) }
            }
            cell => cell,
        };
        let cells = self.columns.iter().map(|column| RowCell {
            label: column.label,
            is_number: column.is_number,
            cell: cell(column),
        });
        let id = (self.rows.id_of)(row);
        let label = self.label_of.map_or_else(|| format!("{} {id}", self.one), |label_of| label_of(row));
        Row { id, label, cells: cells.collect() }
    }
}

fn matching<R>(list: &List<R>, found: &ListPage<R>) -> String {
    let shown = found.rows.len();
    match found.count {
        Some(count) if count.number == 1 && !count.at_least => format!("1 {}", list.one),
        Some(count) => format!("{} {}", capped(count), list.many),
        None if shown == 1 => format!("1 {} on this page", list.one),
        None => format!("{shown} {} on this page", list.many),
    }
}

fn with_total<R>(matching: String, found: &ListPage<R>) -> String {
    match found.total {
        Some(total) => format!("{matching} ({} in total)", capped(total)),
        None => matching,
    }
}

/// Where there are more rows than the page shows, but not too many for one page.
fn show_all(params: &ListParams, count: Option<Count>) -> Option<ShowAll> {
    let number = count.filter(|count| !count.at_least)?.number;
    let fits = number > params.page_size && number <= MOST_ROWS_OF_A_PAGE;
    let rows = MOST_ROWS_OF_A_PAGE.to_string();
    fits.then(|| ShowAll { href: format!("?{}", params.with("rows", Some(&rows))), number })
}

fn tabs<R>(list: &List<R>, params: &ListParams) -> Vec<Link> {
    let here = {
        let mut here = kept(params, &["sort", "q", "rows", "sums"]);
        here.sort();
        here
    };
    let tab = |Tab { label, query }: &Tab| {
        let mut pairs: Vec<Parameter> = url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .filter(|(name, _)| name != "sort")
            .map(|(name, value)| Parameter { name, value })
            .collect();
        pairs.sort();
        Link { label: (*label).to_owned(), href: format!("{}?{query}", list.path), is_current: pairs == here }
    };
    list.tabs.iter().map(tab).collect()
}

fn heads<R>(list: &List<R>, params: &ListParams) -> Vec<Head> {
    let head = |column: &super::Column<R>| {
        let sort = column.sort.and_then(|name| list.sorts.iter().find(|sort| sort.name == name));
        let is_order = sort.is_some_and(|sort| sort.name == params.sort);
        let href = sort.map(|sort| {
            let descending = if is_order { !params.descending } else { sort.descending_first };
            let value = if descending { format!("-{}", sort.name) } else { sort.name.to_owned() };
            format!("?{}", params.with("sort", Some(&value)))
        });
        let order = is_order.then_some(if params.descending { "descending" } else { "ascending" });
        Head { label: column.label, is_number: column.is_number, href, order }
    };
    list.columns.iter().map(head).collect()
}
