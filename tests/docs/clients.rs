//! `docs/clients.md` lists the client programs that are tested, with their versions.

use std::collections::BTreeSet;

use super::{code, code_spans, rows};
use crate::house::source::{below, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// Returns the part of the document with a section for each client.
fn sections(document: &str) -> BTreeSet<&str> {
    let (_, clients) = document.split_once("\n## The clients\n").expect("a part with the clients");
    let clients = clients.split("\n## ").next().unwrap();
    clients.lines().filter_map(|line| line.strip_prefix("### ")).collect()
}

/// Returns the packages that `install.sh` installs, with their versions.
fn pinned(script: &str) -> BTreeSet<&str> {
    let lists = script.split(") packages='").skip(1).map(|rest| rest.split('\'').next().unwrap());
    lists.flat_map(str::split_whitespace).collect()
}

#[test]
fn every_client_has_a_section_a_pinned_version_and_a_test() {
    let (document, script) = (read("docs/clients.md"), read("tests/sdk/install.sh"));
    let sources = below("tests/sdk");
    let tests: BTreeSet<String> = sources.iter().flat_map(|source| source.tests()).collect();
    let (mut clients, mut versions, mut proofs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for row in rows(&document).iter().filter(|row| row.len() == 3 && row[2].starts_with("`sdk::")) {
        let [client, packages, test] = row[..] else { panic!("a client has three cells: {row:?}") };
        let name = client.trim_start_matches('[').split(']').next().unwrap();
        let path = code(test).expect("the name of a test");
        let function = path.rsplit("::").next().unwrap();
        assert!(tests.contains(function), "{name}: there is no test {path}");
        // The program curl is the system's.
        assert!(name == "curl" || code_spans(packages).count() > 0, "{name} has no version");
        clients.insert(name);
        versions.extend(code_spans(packages));
        proofs.insert(function.to_owned());
    }
    assert!(clients.len() > 10, "only {clients:?} are checked");
    assert_eq!(clients, sections(&document), "the table and the sections differ");
    assert_eq!(versions, pinned(&script), "the table and tests/sdk/install.sh differ");
    let clients = sources.iter().filter(|source| source.path.starts_with("tests/sdk/clients/"));
    let unnamed: Vec<_> =
        clients.flat_map(|source| source.tests()).filter(|test| !proofs.contains(test)).collect();
    assert!(unnamed.is_empty(), "docs/clients.md does not name {unnamed:?}");
}

#[test]
fn versions_are_found_in_the_script() {
    let script = "a) packages='b==1 c[d]==2' ;;\ne) packages='@f/g@3' ;;\n*) echo packages ;;\n";
    assert_eq!(pinned(script), BTreeSet::from(["@f/g@3", "b==1", "c[d]==2"]));
}
