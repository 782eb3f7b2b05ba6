//! The frame that all pages of the panel share, and responses with a page.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header;
use askama::Template;

use super::administrator::Administrator;
use super::ago::ago;
use super::csp::CONTENT_SECURITY_POLICY;
use super::environment::Environment;
use super::format;
use super::menu::{MenuGroup, MenuItem, Shortcut, is_at_the_bottom, menu, shortcuts};
use super::message::Message;
use super::paths;
use super::trouble::Trouble;
use super::zone::Zone;
use crate::clock;
use crate::error::{Error, Result};

/// The parts of a page around its content (`templates/admin/frame.html`).
pub(in crate::panel) struct Frame {
    pub title: String,
    /// The panel's name (`--site-title`).
    pub site: String,
    /// The administrator's username.
    pub administrator: String,
    /// The label that tells this server from others.
    pub environment: Option<Environment>,
    /// The menu, by groups.
    pub menu: Vec<MenuGroup>,
    /// All shortcuts. Empty if the administrator has switched them off.
    pub shortcuts: Vec<Shortcut>,
    /// The path from the home page to this page, which comes last. Empty on the home page.
    pub breadcrumbs: Vec<Crumb>,
    pub messages: Vec<Message>,
    pub csrf: String,
    /// `auto`, `light` or `dark`.
    pub theme: &'static str,
    pub zone: Zone,
    /// The present time.
    pub now: chrono::NaiveDateTime,
    /// The page's own address, to return to after the theme was switched.
    pub here: String,
    pub version: &'static str,
    /// The text in the search box at the top.
    pub search: String,
    /// Which models of the upstream fail, for the banner above the page.
    pub trouble: Option<Trouble>,
    /// Whether one key alone is a shortcut.
    pub has_shortcuts: bool,
}

/// A breadcrumb: a page on the path from the home page to the one that is shown.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Crumb {
    pub label: String,
    pub href: String,
}

impl Crumb {
    /// A breadcrumb with a link.
    pub(crate) fn new(label: impl Into<String>, href: impl Into<String>) -> Crumb {
        Crumb { label: label.into(), href: href.into() }
    }

    /// The last breadcrumb: the page that is shown, which has no link.
    pub(crate) fn here(label: impl Into<String>) -> Crumb {
        Crumb::new(label, "")
    }
}

impl Frame {
    /// The frame of a page. `way` has the breadcrumbs after *Home*, and ends with the page itself.
    pub(crate) fn new(administrator: &Administrator, way: &[Crumb]) -> Frame {
        let here = way.first().map_or(paths::HOME, |crumb| crumb.href.as_str());
        let here = here.split('?').next().unwrap_or_default();
        let has_shortcuts = administrator.settings.shortcuts;
        let sections = administrator.navigation.sections;
        let breadcrumbs = std::iter::once(Crumb::new("Home", paths::HOME)).chain(way.iter().cloned());
        Frame {
            title: way.last().map_or_else(|| "Home".to_owned(), |crumb| crumb.label.clone()),
            site: administrator.site.clone(),
            administrator: administrator.user.username.clone(),
            environment: administrator.environment.clone(),
            menu: menu(administrator, here),
            shortcuts: if has_shortcuts { shortcuts(sections) } else { Vec::new() },
            breadcrumbs: if way.is_empty() { Vec::new() } else { breadcrumbs.collect() },
            messages: administrator.messages.clone(),
            csrf: administrator.csrf.clone(),
            theme: administrator.theme,
            zone: administrator.zone,
            now: clock::now(),
            here: administrator.here.clone(),
            version: env!("CARGO_PKG_VERSION"),
            search: String::new(),
            trouble: administrator.trouble.clone(),
            has_shortcuts,
        }
    }

    /// Returns the links in the bar at the bottom of a phone.
    pub(crate) fn bottom(&self) -> impl Iterator<Item = &MenuItem> {
        let items = self.menu.iter().flat_map(|group| &group.items);
        items.filter(|item| is_at_the_bottom(item.href))
    }

    /// Formats a number, for templates.
    pub(crate) fn tokens(&self, amount: &i64) -> String {
        format::tokens(*amount)
    }

    /// Formats a number in a few characters, for templates.
    pub(crate) fn compact(&self, amount: &i64) -> String {
        format::compact(*amount)
    }

    /// Formats a change of a balance with its sign, for templates.
    pub(crate) fn signed(&self, amount: &i64) -> String {
        format::signed(*amount)
    }

    /// Returns the present time in the format of a `datetime-local` field.
    pub(crate) fn now_field(&self) -> String {
        self.zone.to_field(self.now)
    }

    /// Formats a time as lists show it: how long ago, or the date.
    pub(crate) fn ago(&self, utc: &chrono::NaiveDateTime) -> String {
        ago(self.zone, self.now, *utc)
    }

    /// Formats a time in the administrator's time zone.
    pub(crate) fn time(&self, utc: &chrono::NaiveDateTime) -> String {
        self.zone.show(*utc)
    }

    /// Formats a time for machines, in UTC (RFC 3339).
    pub(crate) fn machine_time(&self, utc: &chrono::NaiveDateTime) -> String {
        utc.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// Returns a response with a page and the status 200.
///
/// # Errors
///
/// `Internal` if the template fails.
pub(in crate::panel) fn page(template: &impl Template) -> Result<HttpResponse> {
    page_with(StatusCode::OK, template)
}

/// Returns a response with a page and a status.
///
/// # Errors
///
/// `Internal` if the template fails.
pub(in crate::panel) fn page_with(status: StatusCode, template: &impl Template) -> Result<HttpResponse> {
    let html = template.render().map_err(|error| Error::Internal(format!("a template failed: {error}")))?;
    Ok(HttpResponse::build(status)
        .content_type("text/html; charset=utf-8")
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .body(html))
}

/// Sends the browser to another page of the panel, with GET (303 See Other).
pub(in crate::panel) fn go(to: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, to.to_owned())).finish()
}
