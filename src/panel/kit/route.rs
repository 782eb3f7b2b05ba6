//! Routes of the panel as data. The navigation and the tests' expectations come from the same
//! table.

use actix_web::{HttpRequest, Route};

use crate::http::{MethodRoute, get, post};

/// Who may use a method of a route. The handler's extractor enforces it:
/// [`Administrator`](super::administrator::Administrator) admits staff, and
/// [`Superuser`](super::administrator::Superuser) superusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, signed in or not.
    Everybody,
    /// Staff and superusers.
    Staff,
    /// Superusers.
    Superusers,
}

/// One method of a page, and who may use it.
#[derive(Debug)]
pub struct PageMethod {
    /// Who may use it.
    pub access: Access,
    /// The method and its handler.
    pub route: MethodRoute,
}

impl Access {
    /// Makes a route for GET and HEAD, for example `Staff.get(|r| r.to(show))`.
    pub const fn get(self, serve: fn(Route) -> Route) -> PageMethod {
        PageMethod { access: self, route: get(serve) }
    }

    /// Makes a route for POST.
    pub const fn post(self, serve: fn(Route) -> Route) -> PageMethod {
        PageMethod { access: self, route: post(serve) }
    }
}

/// A page of the panel.
#[derive(Debug)]
pub struct PageRoute {
    /// The path, with a slash at its end.
    pub path: &'static str,
    /// The label in the navigation. `None` if the page is not in it.
    pub label: Option<&'static str>,
    /// The methods, GET before POST.
    pub methods: &'static [PageMethod],
}

/// Makes the route of a page that other pages lead to.
pub(in crate::panel) const fn page(path: &'static str, methods: &'static [PageMethod]) -> PageRoute {
    PageRoute { path, label: None, methods }
}

/// Makes the route of a page in the navigation.
pub(in crate::panel) const fn section(
    label: &'static str,
    path: &'static str,
    methods: &'static [PageMethod],
) -> PageRoute {
    PageRoute { path, label: Some(label), methods }
}

/// A section of the panel: a label of the navigation, and the page that it leads to.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The label.
    pub label: &'static str,
    /// The path of the page.
    pub path: &'static str,
}

/// What the kit knows of the pages. Each request finds it in the application's data.
#[derive(Clone, Copy, Debug)]
pub(in crate::panel) struct Navigation {
    /// The sections, in the order of the menu.
    pub sections: &'static [Section],
    /// All pages.
    pub routes: &'static [PageRoute],
}

impl Navigation {
    /// Returns the navigation of the panel that a request came to.
    pub(crate) fn of(request: &HttpRequest) -> Navigation {
        request.app_data().copied().unwrap_or(Navigation { sections: &[], routes: &[] })
    }

    /// Returns whether a path, without its last slash, cannot be opened, but only accepts a form.
    /// Each page of one row can be opened.
    pub(crate) fn accepts_only_forms(&self, path: &str) -> bool {
        let route = self.routes.iter().find(|route| route.path.trim_end_matches('/') == path);
        route.is_some_and(|route| route.methods.iter().all(|method| method.route.name == "POST"))
    }
}

/// Returns the number of sections in a table.
pub(in crate::panel) const fn count_sections(routes: &[PageRoute]) -> usize {
    let (mut count, mut place) = (0, 0);
    while place < routes.len() {
        if routes[place].label.is_some() {
            count += 1;
        }
        place += 1;
    }
    count
}

/// Returns the sections of a table, in its order. `N` is [`count_sections`] of it.
pub(in crate::panel) const fn sections<const N: usize>(routes: &[PageRoute]) -> [Section; N] {
    let mut sections = [Section { label: "", path: "" }; N];
    let (mut count, mut place) = (0, 0);
    while place < routes.len() {
        if let Some(label) = routes[place].label {
            sections[count] = Section { label, path: routes[place].path };
            count += 1;
        }
        place += 1;
    }
    sections
}
