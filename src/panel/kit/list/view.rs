//! A list as its template shows it, with all texts and links.

use actix_web::HttpResponse;
use askama::Template;

use super::filters::{Chip, FilterView, Parameter, chips, cleared, filter_view, kept};
use super::link::{Link, capped};
use super::params::MOST_ROWS_OF_A_PAGE;
use super::{BulkAction, Cell, Filter, FilterKind, List, ListPage, ListParams, Tab};
use crate::models::list::{Count, Start};
use crate::panel::kit::PageError;
use crate::panel::kit::page::{Frame, page};

/// Everything that `templates/admin/list.html` shows.
pub(in crate::panel) struct ListView {
    pub path: &'static str,
    /// The noun for several rows.
    pub many: &'static str,
    /// The query string of this page, to return to it.
    pub here: String,
    /// The words in the search box.
    pub words: String,
    /// The text below the search box. `None`: there is no box.
    pub search_help: Option<&'static str>,
    /// The other parameters, which the search form keeps.
    pub kept: Vec<Parameter>,
    pub tabs: Vec<Link>,
    pub filters: Vec<FilterView>,
    pub chips: Vec<Chip>,
    /// The link that removes all filters.
    pub clear: String,
    /// The link that shows the counts of filters.
    pub facets: Option<String>,
    /// How many rows match, and how many there are in total.
    pub count: String,
    /// How many rows match, for "all that match".
    pub matching: String,
    /// The link that shows all rows on one page, if they fit.
    pub show_all: Option<ShowAll>,
    pub heads: Vec<Head>,
    pub rows: Vec<Row>,
    /// Empty for administrators who may not change anything.
    pub actions: &'static [BulkAction],
    pub first: Option<String>,
    pub previous: Option<String>,
    pub next: Option<String>,
    pub last: Option<String>,
    /// The link that continues a search that reached its work bound.
    pub look_further: Option<String>,
    /// The text that is shown if there are no rows.
    pub empty: &'static str,
    /// Whether filters or words hide rows.
    pub is_narrowed: bool,
    /// Notes above the rows, such as that they are not up to date.
    pub notes: Vec<String>,
}

/// The head of a column.
pub(in crate::panel) struct Head {
    pub label: &'static str,
    pub is_number: bool,
    /// The link that sorts by this column, if that is possible.
    pub href: Option<String>,
    /// `ascending` or `descending` if the list is sorted by this column.
    pub order: Option<&'static str>,
}

/// A row of the list.
pub(in crate::panel) struct Row {
    pub id: i64,
    /// The label of its check box.
    pub label: String,
    pub cells: Vec<RowCell>,
}

/// A cell, with the label of its column for narrow screens.
pub(in crate::panel) struct RowCell {
    pub label: &'static str,
    pub is_number: bool,
    pub cell: Cell,
}

/// The link that shows all rows on one page, and their number.
pub(in crate::panel) struct ShowAll {
    pub href: String,
    pub number: i64,
}

/// A page with a list and nothing else.
#[derive(Template)]
#[template(path = "admin/plain_list.html")]
struct PlainPage {
    frame: Frame,
    list: ListView,
}

impl ListView {
    /// Returns the page of a list that has no template of its own.
    pub(crate) fn show(self, frame: Frame) -> Result<HttpResponse, PageError> {
        page(&PlainPage { frame, list: self }).map_err(PageError::from)
    }

    /// Makes the view of a page of a list.
    pub(crate) fn new<R>(list: &List<R>, params: &ListParams, found: &ListPage<R>) -> ListView {
        let page = &found.page;
        let first = found.page.rows.first();
        let last = found.page.rows.last();
        let link = |place: &str, position| format!("?{}", params.at(place, position));
        // If the work bound ended the walk, further rows are found from there, not behind the last
        // row shown.
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
    /// Removes a column, such as links to forms for administrators who may not use them.
    pub(crate) fn leave_out(&mut self, label: &str) {
        self.heads.retain(|head| head.label != label);
        for row in &mut self.rows {
            row.cells.retain(|cell| cell.label != label);
        }
    }
}

impl<R> List<R> {
    fn has_choices(&self) -> bool {
        let is_counted = |filter: &Filter| matches!(filter.kind, FilterKind::Choice(_)) && !filter.is_long();
        self.filters.iter().any(is_counted)
    }

    /// Returns a row. Its main link carries the list's query string, to return to the same page.
    fn row(&self, row: &R, here: &str) -> Row {
        let back = |href: String| match here {
            "" => href,
            here => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                format!("{href}?{}", query.append_pair("list", here).finish())
            }
        };
        let cell = |column: &super::Column<R>| match (column.cell)(row) {
            Cell::Main { text, href } => Cell::Main { text, href: back(href) },
            Cell::Marked { text, href, mark } => Cell::Marked { text, href: back(href), mark },
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

/// Returns the link if there are more rows than on this page, but not too many for one page.
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
