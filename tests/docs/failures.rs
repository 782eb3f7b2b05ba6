//! `docs/api.md` lists every reason why a chat failed.

use tollgate::domain::FailureReason;

use super::{code, rows};

const DOCUMENT: &str = include_str!("../../docs/api.md");

#[test]
fn every_failure_code_is_documented_with_its_text() {
    let (_, section) = DOCUMENT.split_once("\n## Why a chat failed\n").expect("a section with the reasons");
    let section = section.split("\n## ").next().unwrap();
    let documented: Vec<_> = rows(section).into_iter().map(|row| (code(row[0]).unwrap(), row[1])).collect();
    assert_eq!(documented, FailureReason::ALL.map(|reason| (reason.code(), reason.text())));
}
