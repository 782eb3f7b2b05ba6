//! `docs/operating.md`, the alerts and the dashboard name the metrics that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{code, rows};
use crate::faults::ask::Way;
use crate::faults::world::World;
use crate::support::On;
use crate::support::scrape::{Scrape, WITH_METRICS};
use crate::support::upstream::{answer, status};

const DOCUMENT: &str = include_str!("../../docs/operating.md");
const ALERTS: &str = include_str!("../../deploy/alerts.yaml");
const DASHBOARD: &str = include_str!("../../deploy/grafana.json");

/// Scrapes a server that has everything: an SQLite file, and an upstream that has answered and
/// failed.
fn scrape() -> Scrape {
    let world = World::start(On::Sqlite, &WITH_METRICS).expect("SQLite is built in");
    let token = world.server.user("ada");
    for script in [answer("Hello", 9, 1), status(500, &[], "{}")] {
        world.upstream.next(script);
        world.server.client().post(Way::V1.path(), Some(&token), &Way::V1.body()).unwrap();
    }
    let scrape = Scrape::of(&world.server);
    world.close();
    scrape
}

/// Returns the metrics that a text names, without the suffixes of histograms.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| word.starts_with("tollgate_") || word.starts_with("process_");
    let metric = |word: &str| {
        let whole = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| word.strip_suffix(suffix));
        whole.unwrap_or(word).to_owned()
    };
    words.filter(is_metric).map(metric).collect()
}

/// The metrics in a scrape, and their types.
fn types() -> BTreeMap<String, String> {
    scrape().types
}

#[test]
fn every_metric_is_documented_with_its_kind_and_labels() {
    let (_, section) = DOCUMENT.split_once("\n## Metrics\n").expect("a section on metrics");
    let section = section.split("\n## ").next().unwrap();
    let scrape = scrape();
    let documented: BTreeMap<String, String> =
        rows(section).into_iter().map(|row| (code(row[0]).unwrap().to_owned(), row[1].to_owned())).collect();
    assert_eq!(documented, scrape.types);
    for row in rows(section) {
        let metric = code(row[0]).unwrap();
        let labels: BTreeSet<&str> = row[2].split(", ").filter_map(code).collect();
        let shown = ["", "_bucket"].iter().flat_map(|suffix| scrape.series(&format!("{metric}{suffix}")));
        let shown: Vec<&str> = shown.collect();
        assert!(!shown.is_empty(), "{metric} has no value in the scrape");
        for series in shown {
            let used = series.split(['{', ',']).skip(1).filter_map(|label| Some(label.split_once("=\"")?.0));
            assert_eq!(used.filter(|label| *label != "le").collect::<BTreeSet<_>>(), labels, "{series}");
        }
    }
}

#[test]
fn the_alerts_use_metrics_that_exist_and_say_why_and_what_to_do() {
    let types = types();
    let unknown: Vec<String> = named(ALERTS).into_iter().filter(|name| !types.contains_key(name)).collect();
    assert_eq!(unknown, [""; 0]);
    let alerts: Vec<&str> = ALERTS.split("\n      - alert: ").skip(1).collect();
    assert!(alerts.len() > 15, "only {} alerts are checked", alerts.len());
    for alert in alerts {
        for part in ["expr: ", "severity: ", "summary: ", "reason: ", "action: "] {
            assert!(alert.contains(part), "no {part:?} in {alert}");
        }
    }
}

/// Returns the expressions of a dashboard.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let shown = named(&expressions(&dashboard).join(" "));
    let exist: BTreeSet<String> = types().into_keys().collect();
    assert_eq!(shown, exist);
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let asked: String = variables.iter().map(|variable| variable["definition"].as_str().unwrap()).collect();
    assert!(named(&asked).is_subset(&exist), "{asked}");
}

/// Grafana asks for the data source when it imports the dashboard.
#[test]
fn the_dashboard_can_be_imported_anywhere() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert_eq!(dashboard["id"], Value::Null);
    assert_eq!(dashboard["__inputs"][0]["name"], "DS_PROMETHEUS");
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{panel}");
        assert!(places.insert(panel["gridPos"].to_string()), "{panel}");
        let end = panel["gridPos"]["x"].as_i64().unwrap() + panel["gridPos"]["w"].as_i64().unwrap();
        assert!(end <= 24, "it is wider than a page: {panel}");
        if panel["type"] == "row" {
            continue;
        }
        for text in ["title", "description"] {
            assert!(panel[text].as_str().is_some_and(|text| !text.is_empty()), "{panel}");
        }
        assert_eq!(panel["datasource"]["uid"], "${DS_PROMETHEUS}", "{panel}");
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(variables.iter().all(|variable| variable["datasource"]["uid"] == "${DS_PROMETHEUS}"));
    assert_eq!(DASHBOARD.matches("\"uid\": \"").count(), DASHBOARD.matches("${DS_PROMETHEUS}").count() + 1);
}

/// Returns the dashboard's queries as rules, which `promtool` can parse. Grafana replaces the
/// variables.
pub fn queries_as_rules() -> String {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = [("$__rate_interval", "1m"), ("$instance", ".*"), ("$job", "tollgate")];
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (number, expression) in expressions(&dashboard).into_iter().enumerate() {
        let replace = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
        let expression = variables.iter().fold(expression, replace);
        assert!(!expression.contains('$'), "{expression}");
        rules
            .push_str(&format!("      - record: query:{number}\n        expr: >-\n          {expression}\n"));
    }
    rules
}
