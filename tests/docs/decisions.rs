//! Each entry of `docs/decisions.md` has a heading and a date, in order.

use chrono::NaiveDate;

const DOCUMENT: &str = include_str!("../../docs/decisions.md");

#[test]
fn each_decision_has_a_date_and_the_newest_comes_last() {
    let mut count = 0;
    for group in DOCUMENT.split("\n## ").skip(1) {
        let mut last = NaiveDate::MIN;
        for entry in group.split("\n### ").skip(1) {
            let (title, text) = entry.split_once('\n').unwrap();
            let date: Option<NaiveDate> = text.get(..10).and_then(|date| date.parse().ok());
            let date = date.unwrap_or_else(|| panic!("{title} has no date"));
            assert!(date >= last, "{title} is older than the entry above it");
            (last, count) = (date, count + 1);
        }
    }
    assert!(count > 100, "only {count} decisions are checked");
}
