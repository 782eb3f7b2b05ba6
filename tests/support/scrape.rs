//! A scrape of a server's metrics, as Prometheus would read it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use super::http::Client;
use super::server::Server;

/// The flags of a server that has metrics, on a free port.
pub const WITH_METRICS: [&str; 2] = ["--metrics-bind", "127.0.0.1:0"];

pub struct Scrape {
    pub text: String,
    /// The value of each series, by its name with its labels.
    values: HashMap<String, f64>,
    /// The type of each metric, by its name.
    pub types: BTreeMap<String, String>,
}

/// Returns the address of a server's metrics.
pub fn address(server: &Server) -> SocketAddr {
    let log = server.log();
    let (_, rest) = log.split_once("metrics on http://").unwrap_or_else(|| panic!("no metrics: {log}"));
    rest.split_once("/metrics").unwrap().0.parse().unwrap()
}

impl Scrape {
    /// Scrapes a server that was started with [`WITH_METRICS`].
    pub fn of(server: &Server) -> Scrape {
        let answer = Client::new(address(server)).send("GET", "/metrics", &[], b"").unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        Scrape::parse(answer.text())
    }

    fn parse(text: String) -> Scrape {
        let (mut values, mut types) = (HashMap::new(), BTreeMap::new());
        for line in text.lines() {
            match line.strip_prefix("# TYPE ") {
                Some(named) => {
                    let (name, kind) = named.split_once(' ').unwrap();
                    let earlier = types.insert(name.to_owned(), kind.to_owned());
                    assert!(earlier.is_none(), "{name} is there twice");
                }
                None if line.starts_with('#') => {}
                None => {
                    let (series, value) = line.rsplit_once(' ').unwrap();
                    let earlier = values.insert(series.to_owned(), value.parse().unwrap());
                    assert!(earlier.is_none(), "{series} is there twice");
                }
            }
        }
        Scrape { text, values, types }
    }

    /// Returns the value of a series; 0 if there is none.
    pub fn get(&self, series: &str) -> f64 {
        self.values.get(series).copied().unwrap_or(0.0)
    }

    /// Returns the value of a series, which must be there.
    #[track_caller]
    pub fn value(&self, series: &str) -> f64 {
        *self.values.get(series).unwrap_or_else(|| panic!("no {series} in\n{}", self.text))
    }

    /// Returns all series of a metric.
    pub fn series(&self, name: &str) -> Vec<&str> {
        let is_of = |series: &&str| series.split('{').next() == Some(name);
        self.values.keys().map(String::as_str).filter(is_of).collect()
    }
}
