//! Counts requests by their route, refusals by their reason, and connections, for the metrics.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};

use crate::api;
use crate::error::Error;
use crate::http::RoutePath;
use crate::metrics::{Counter, CounterSet, Exposition, Histogram, Kind, Level};
use crate::pages;
use crate::panel::{self, PageError};

/// The route of requests that are in no table.
const OTHER: &str = "other";

/// The methods that routes have. The last one stands for all others.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PATCH", "DELETE", OTHER];

/// The statuses that this server sends. 0 stands for all others.
const STATUSES: [u16; 26] = [
    200, 201, 204, 303, 304, 400, 401, 403, 404, 405, 406, 408, 409, 413, 415, 416, 421, 422, 429, 431, 500,
    501, 502, 503, 504, 0,
];

/// The bounds of the time until a response begins, in microseconds.
const DURATIONS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Refusals before there is a request.
pub(super) const TOO_MANY_CONNECTIONS: &str = "too-many-connections";

/// Reasons that are no errors: of connections, and of pages that say what is wrong with a form.
const FURTHER_REASONS: [&str; 3] = [TOO_MANY_CONNECTIONS, "conflict", "invalid-form"];

/// What came and what was sent, in numbers.
#[derive(Debug)]
pub(super) struct Traffic {
    /// The routes by their paths in the tables.
    routes: HashMap<&'static str, Route>,
    other: Route,
    refusals: CounterSet,
    /// The open connections.
    pub(super) connections: Level,
}

/// The requests to one route, by method. A method that was never used takes no memory.
#[derive(Debug)]
struct Route {
    /// The path, as the metrics show it.
    label: String,
    methods: [OnceLock<Box<Responses>>; METHODS.len()],
}

/// The responses to one method of a route.
#[derive(Debug)]
struct Responses {
    by_status: [Counter; STATUSES.len()],
    durations: Histogram,
}

impl Default for Traffic {
    fn default() -> Traffic {
        let of_tables = api::ROUTES.iter().chain(pages::ROUTES).map(|(path, _)| *path);
        let of_panel = panel::ROUTES.iter().map(|page| page.path.trim_end_matches('/'));
        let routes = of_tables.chain(of_panel).map(|path| (path, Route::new(path))).collect();
        let reasons = Error::SLUGS.into_iter().chain(PageError::REASONS).chain(FURTHER_REASONS);
        Traffic {
            routes,
            other: Route::new(OTHER),
            refusals: CounterSet::new(reasons),
            connections: Level::default(),
        }
    }
}

impl Route {
    fn new(path: &str) -> Route {
        // The pattern of a parameter says nothing here.
        let label = if path.is_empty() { "/".to_owned() } else { path.replace(":.+}", "}") };
        Route { label, methods: Default::default() }
    }
}

impl Responses {
    fn new() -> Box<Responses> {
        let by_status = std::array::from_fn(|_| Counter::default());
        Box::new(Responses { by_status, durations: Histogram::of_durations(&DURATIONS) })
    }
}

impl Traffic {
    /// Counts a request and its response, which began after `duration`.
    pub(super) fn count(
        &self,
        route: Option<RoutePath>,
        method: &Method,
        status: StatusCode,
        duration: Duration,
    ) {
        let route = route.and_then(|path| self.routes.get(path.0)).unwrap_or(&self.other);
        let method = METHODS.iter().position(|name| *name == method.as_str()).unwrap_or(METHODS.len() - 1);
        let Some(responses) = route.methods.get(method) else { return };
        let responses = responses.get_or_init(Responses::new);
        let place = STATUSES.iter().position(|known| *known == status.as_u16());
        if let Some(counter) = responses.by_status.get(place.unwrap_or(STATUSES.len() - 1)) {
            counter.increment();
        }
        responses.durations.observe(duration);
    }

    /// Counts a refusal.
    pub(super) fn refuse(&self, reason: &str) {
        self.refusals.of(reason).increment();
    }

    /// Writes all numbers.
    pub(super) fn write(&self, text: &mut Exposition) {
        let mut routes: Vec<&Route> = self.routes.values().collect();
        routes.sort_unstable_by(|one, other| one.label.cmp(&other.label));
        routes.push(&self.other);
        let all = || {
            routes.iter().flat_map(|route| {
                let used = METHODS.iter().zip(&route.methods);
                used.filter_map(move |(method, responses)| {
                    Some((route.label.as_str(), *method, responses.get()?))
                })
            })
        };
        let help = "Responses, by the path of the route, the method and the status.";
        let mut family = text.family("tollgate_http_requests_total", Kind::Counter, help);
        for (route, method, responses) in all() {
            for (status, counter) in STATUSES.iter().zip(&responses.by_status) {
                if counter.value() > 0 {
                    let status = if *status == 0 { OTHER.to_owned() } else { status.to_string() };
                    let labels = [("route", route), ("method", method), ("status", status.as_str())];
                    family.value(&labels, counter.value());
                }
            }
        }
        let help = "Time from the head of a request until its response began.";
        let mut family = text.family("tollgate_http_request_duration_seconds", Kind::Histogram, help);
        for (route, method, responses) in all() {
            family.histogram(&[("route", route), ("method", method)], &responses.durations);
        }
        let help = "Requests that were refused, by the reason.";
        let mut family = text.family("tollgate_refusals_total", Kind::Counter, help);
        for (reason, counter) in self.refusals.all() {
            family.value(&[("reason", reason)], counter.value());
        }
        let help = "Open connections of clients.";
        text.value("tollgate_http_connections", Kind::Gauge, help, self.connections.value());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(traffic: &Traffic) -> Vec<String> {
        let mut text = Exposition::default();
        traffic.write(&mut text);
        let text = text.into_text();
        let is_counted = |line: &&str| line.starts_with("tollgate_http_requests_total");
        text.lines().filter(is_counted).map(|line| line.split_once('{').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn whatever_a_client_sends_there_are_few_series() {
        let traffic = Traffic::default();
        for number in 100..1000 {
            let method = Method::from_bytes(format!("M{number}").as_bytes()).unwrap();
            let status = StatusCode::from_u16(number).unwrap();
            traffic.count(None, &method, status, Duration::ZERO);
            traffic.refuse(&number.to_string());
        }
        let lines = shown(&traffic);
        assert_eq!(lines.len(), STATUSES.len(), "{lines:#?}");
        assert!(lines.iter().all(|line| line.starts_with("route=\"other\",method=\"other\"")), "{lines:#?}");
        assert_eq!(traffic.refusals.of("something else").value(), 900);
    }

    #[test]
    fn a_route_is_shown_as_the_table_names_it() {
        let traffic = Traffic::default();
        for path in ["", "/chat", "/v1/models/{id:.+}", "/admin/users/{id}"] {
            traffic.count(Some(RoutePath(path)), &Method::GET, StatusCode::OK, Duration::from_millis(1));
        }
        let of = |route: &str| format!("route=\"{route}\",method=\"GET\",status=\"200\"}} 1");
        assert_eq!(shown(&traffic), ["/", "/admin/users/{id}", "/chat", "/v1/models/{id}"].map(of));
    }
}
