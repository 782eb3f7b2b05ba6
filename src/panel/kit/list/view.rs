//! A list as its template shows it, with all texts and links.

use actix_web::HttpResponse;
use askama::Template;

use super::filters::{Chip, FilterView, Parameter, chips, cleared, filter_view, kept};
use super::link::{Link, capped};
use super::params::MOST_ROWS_OF_A_PAGE;
use super::{BulkAction, Cell, Column, List, ListPage, ListParams, Tab};
use crate::models::ColumnChoices;
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
    /// What can be searched for. `None`: there is no search box.
    pub search_help: Option<&'static str>,
    /// The other parameters, which the search form keeps.
    pub kept: Vec<Parameter>,
    pub tabs: Vec<Link>,
    pub filters: Vec<FilterView>,
    /// The parameters that are not filters, which the form of filters keeps.
    pub kept_by_filters: Vec<Parameter>,
    /// How many filters are set.
    pub filters_set: usize,
    /// Whether the form of filters is open, because its counts were requested.
    pub shows_counts: bool,
    pub chips: Vec<Chip>,
    /// The link that removes all filters.
    pub clear: String,
    /// The link that shows the counts of filters.
    pub facets: Option<String>,
    /// How many rows match, and how many there are in total: `1,042 of 5,124`.
    pub count: String,
    /// What the count counts, for screen readers.
    pub counted: &'static str,
    /// How many rows match, for "all that match".
    pub matching: String,
    /// The link that shows all rows on one page, if they fit.
    pub show_all: Option<ShowAll>,
    /// The columns to choose from: all but the first.
    pub columns: Vec<ColumnChoice>,
    /// The saved views of this list.
    pub views: Vec<ViewLink>,
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

/// A column to choose.
pub(in crate::panel) struct ColumnChoice {
    pub label: &'static str,
    pub is_shown: bool,
}

/// A saved view of the list.
pub(in crate::panel) struct ViewLink {
    pub id: i64,
    pub name: String,
    pub href: String,
    /// Whether the administrator may delete it: an own one, or as a superuser any.
    pub may_delete: bool,
}

/// The head of a column.
pub(in crate::panel) struct Head {
    pub label: &'static str,
    /// Its CSS classes.
    pub class: &'static str,
    /// The CSS class of its width.
    pub width: String,
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
    /// Its CSS classes.
    pub class: &'static str,
    /// The CSS class of its place on a phone.
    pub at: &'static str,
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
    pub(crate) fn new<R>(
        list: &List<R>,
        params: &ListParams,
        found: &ListPage<R>,
        chosen: &ColumnChoices,
    ) -> ListView {
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
        let columns = list.columns_for(&found.rows, chosen);
        ListView {
            path: list.path,
            many: list.many,
            here: params.here(),
            words: params.words.clone(),
            search_help: list.search.as_ref().map(|search| search.help),
            kept: kept(params, &["q"]),
            tabs: tabs(list, params, found),
            filters: list.filters.iter().map(|filter| filter_view(filter, params, found)).collect(),
            kept_by_filters: {
                let mut names: Vec<&str> = list.filters.iter().map(|filter| filter.name).collect();
                // The form has a box for the words.
                names.extend(list.search.as_ref().map(|_| "q"));
                kept(params, &names)
            },
            filters_set: params.picked.len(),
            shows_counts: params.wants_facets,
            chips: chips(params),
            clear: cleared(params),
            facets: (!params.wants_facets && list.has_choices() && found.count.is_some())
                .then(|| format!("?{}&facets=1", params.here())),
            count: count(found),
            counted: if shown_count(found) == 1 { list.one } else { list.many },
            matching: matching(list, found),
            show_all: show_all(params, found.count),
            columns: list.column_choices(&columns),
            views: Vec::new(),
            heads: columns.iter().map(|column| head(list, params, column, &found.rows)).collect(),
            rows: found.rows.iter().map(|row| list.row(row, &columns, &params.here())).collect(),
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
    /// Returns the action beside which an amount may be entered.
    pub(crate) fn action_with_amount(&self) -> Option<&'static BulkAction> {
        self.actions.iter().find(|action| action.asks_amount)
    }

    /// Leaves a column out of what is printed.
    pub(crate) fn leave_off_paper(&mut self, label: &str) {
        for head in self.heads.iter_mut().filter(|head| head.label == label) {
            head.class = "off-paper";
        }
        for cell in self.rows.iter_mut().flat_map(|row| &mut row.cells).filter(|cell| cell.label == label) {
            cell.class = "off-paper";
        }
    }

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
        self.filters.iter().any(|filter| filter.counted_choices().is_some())
    }

    /// Returns the columns that a page shows: the first one, those that the administrator has
    /// chosen, and of the others those that say something.
    fn columns_for(&self, rows: &[R], chosen: &ColumnChoices) -> Vec<&'static Column<R>> {
        let is_shown = |column: &Column<R>| {
            chosen.get(column.label).copied().unwrap_or_else(|| column.appears_with(rows))
        };
        let numbered = self.columns.iter().enumerate();
        numbered.filter(|(place, column)| *place == 0 || is_shown(column)).map(|(_, column)| column).collect()
    }

    fn column_choices(&self, shown: &[&Column<R>]) -> Vec<ColumnChoice> {
        let choice = |column: &Column<R>| ColumnChoice {
            label: column.label,
            is_shown: shown.iter().any(|one| one.label == column.label),
        };
        self.columns.iter().skip(1).map(choice).collect()
    }

    /// Returns a row. Its main link carries the list's query string, to return to the same page.
    fn row(&self, row: &R, columns: &[&Column<R>], here: &str) -> Row {
        let back = |href: String| match here {
            "" => href,
            here => {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                format!("{href}?{}", query.append_pair("list", here).finish())
            }
        };
        let cell = |column: &Column<R>| match (column.cell)(row) {
            Cell::Main { text, href } => Cell::Main { text, href: back(href) },
            Cell::Marked { text, href, mark } => Cell::Marked { text, href: back(href), mark },
            cell => cell,
        };
        let cells = columns.iter().map(|column| RowCell {
            label: column.label,
            class: column.class(),
            at: column.at.class(),
            cell: cell(column),
        });
        let id = (self.rows.id_of)(row);
        let label = self.label_of.map_or_else(|| format!("{} {id}", self.one), |label_of| label_of(row));
        Row { id, label, cells: cells.collect() }
    }
}

/// Returns how many rows match, if that is known: where a walk ended at its bound, the number of
/// rows so far would change from day to day.
fn known<R>(found: &ListPage<R>) -> Option<Count> {
    found.count.filter(Count::is_full)
}

fn matching<R>(list: &List<R>, found: &ListPage<R>) -> String {
    match known(found) {
        Some(count) if count.number == 1 && !count.at_least => format!("1 {}", list.one),
        Some(count) => format!("{} {}", capped(count), list.many),
        None => format!("{}, not counted yet", list.many),
    }
}

/// Returns how many rows match, and how many there are in total.
fn count<R>(found: &ListPage<R>) -> String {
    let shown = match known(found) {
        Some(count) => capped(count),
        None => format!("{} on this page", found.rows.len()),
    };
    match found.total {
        Some(total) => format!("{shown} of {}", capped(total)),
        None => shown,
    }
}

/// Returns the last number of the text of [`count`], which its noun follows.
fn shown_count<R>(found: &ListPage<R>) -> i64 {
    found.total.or(known(found)).map_or(found.rows.len() as i64, |count| count.number)
}

/// Returns the link if there are more rows than on this page, but not too many for one page.
fn show_all(params: &ListParams, count: Option<Count>) -> Option<ShowAll> {
    let number = count.filter(|count| !count.at_least)?.number;
    let fits = number > params.page_size && number <= MOST_ROWS_OF_A_PAGE;
    let rows = MOST_ROWS_OF_A_PAGE.to_string();
    fits.then(|| ShowAll { href: format!("?{}", params.with("rows", Some(&rows))), number })
}

fn tabs<R>(list: &List<R>, params: &ListParams, found: &ListPage<R>) -> Vec<Link> {
    let tab = |(place, tab): (usize, &Tab)| Link {
        label: tab.label.to_owned(),
        href: format!("?{}", tab.query(list.tabs, params)),
        is_current: tab.is_current(list.tabs, params),
        count: found.tabs.get(place).copied().flatten().map(capped).unwrap_or_default(),
    };
    list.tabs.iter().enumerate().map(tab).collect()
}

fn head<R>(list: &List<R>, params: &ListParams, column: &Column<R>, rows: &[R]) -> Head {
    let sort = column.sort.and_then(|name| list.sorts.iter().find(|sort| sort.name == name));
    let is_order = sort.is_some_and(|sort| sort.name == params.sort);
    let href = sort.map(|sort| {
        let descending = if is_order { !params.descending } else { sort.descending_first };
        let value = if descending { format!("-{}", sort.name) } else { sort.name.to_owned() };
        format!("?{}", params.with("sort", Some(&value)))
    });
    let order = is_order.then_some(if params.descending { "descending" } else { "ascending" });
    let longest = rows.iter().map(|row| (column.cell)(row).length()).max().unwrap_or_default();
    let width = column.width.class(longest.max(column.label.chars().count()));
    Head { label: column.label, class: column.class(), width, href, order }
}
