//! Every link of a document leads somewhere: to a file of the repository, to a heading of a
//! document, or to an address of the right form. No test asks the network whether a site exists.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use url::{Host, Url};

use crate::house::source::{root, texts_of_the_repository};
use crate::support::temporary;

/// The documents, by their paths.
type Documents = BTreeMap<String, String>;

fn documents() -> Documents {
    let texts = texts_of_the_repository().into_iter().filter(|(path, _)| path.ends_with(".md"));
    let documents: Documents = texts.collect();
    assert!(documents.len() > 15, "only {} documents are checked", documents.len());
    documents
}

fn events(document: &str) -> Parser<'_> {
    Parser::new_ext(document, Options::ENABLE_TABLES)
}

/// Returns where the links and pictures of a document lead.
fn links(document: &str) -> Vec<String> {
    let leads = |event: Event<'_>| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    events(document).filter_map(leads).collect()
}

/// Returns the anchors of a document's headings, as GitHub makes them.
fn anchors(document: &str) -> BTreeSet<String> {
    let (mut anchors, mut heading) = (BTreeSet::new(), None);
    for event in events(document) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap_or_default());
                // The second heading of the same words gets a number, and so on.
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone()).chain(numbered).find(|one| !anchors.contains(one));
                anchors.extend(free);
            }
            _ => {}
        }
    }
    anchors
}

fn anchor(heading: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    heading.to_lowercase().chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the path of a file that a document in `folder` names. `None` if it leaves the
/// repository.
fn resolve(folder: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Returns the document or file that a link leads to, and the anchor. `None` if it leads out of the
/// repository.
fn target(from: &str, link: &str) -> Option<(String, Option<String>)> {
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let anchor = anchor.map(str::to_owned);
    if file.is_empty() {
        return Some((from.to_owned(), anchor));
    }
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    Some((resolve(folder, file)?, anchor))
}

/// Returns what is wrong with a link. `exists` says whether a file is there.
fn fault(
    documents: &Documents,
    exists: impl Fn(&str) -> bool,
    from: &str,
    link: &str,
) -> Option<&'static str> {
    if link.contains("://") || link.starts_with("mailto:") {
        return fault_of_address(link);
    }
    let Some((path, anchor)) = target(from, link) else { return Some("leads out of the repository") };
    if !exists(&path) {
        return Some("leads to no file");
    }
    let anchor = anchor?;
    match documents.get(&path) {
        Some(document) if anchors(document).contains(&anchor) => None,
        Some(_) => Some("leads to no heading"),
        None => Some("has an anchor, but leads to no document"),
    }
}

fn fault_of_address(link: &str) -> Option<&'static str> {
    let Ok(url) = Url::parse(link) else { return Some("is no address") };
    let is_public = matches!(url.host(), Some(Host::Domain(name)) if name.contains('.'));
    let is_sound = url.scheme() == "https" && url.port().is_none() && !link.ends_with(['.', ',']);
    (!is_public || !is_sound).then_some("is no https address of a public host")
}

/// Checks all links of documents that lie in a folder.
fn check_links(documents: &Documents, folder: &Path) {
    let exists = |path: &str| folder.join(path).exists();
    let (mut count, mut faults) = (0, Vec::new());
    for (path, document) in documents {
        for link in links(document) {
            count += 1;
            if let Some(fault) = fault(documents, exists, path, &link) {
                faults.push(format!("{path}: {link} {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count > 200, "only {count} links are checked");
}

#[test]
fn every_link_leads_to_a_file_a_heading_or_an_address() {
    check_links(&documents(), &root());
}

/// The packages have fewer files than the repository.
#[test]
fn the_links_of_packed_documents_lead_to_packed_files() {
    let folder = temporary::directory();
    let script = "source <(sed -n '/^copy_documents()/,/^}/p' packaging/pack); copy_documents \"$1\"";
    let mut bash = Command::new("bash");
    let copied = bash.args(["-ec", script, "-"]).arg(folder.path()).current_dir(root()).status();
    assert!(copied.unwrap().success(), "{script}");
    let mut packed = documents();
    packed.retain(|path, _| folder.path().join(path).exists());
    assert!(packed.len() > 15, "only {} documents are packed", packed.len());
    check_links(&packed, folder.path());
}

/// Returns the documents that are reached from one by links.
fn reached(documents: &Documents, first: &str) -> BTreeSet<String> {
    let (mut reached, mut way) = (BTreeSet::new(), VecDeque::from([first.to_owned()]));
    while let Some(path) = way.pop_front() {
        let Some(document) = documents.get(&path) else { continue };
        if reached.insert(path.clone()) {
            let targets = links(document).into_iter().filter_map(|link| target(&path, &link));
            way.extend(targets.map(|(path, _)| path));
        }
    }
    reached
}

#[test]
fn every_document_is_reached_from_the_readme() {
    let documents = documents();
    let reached = reached(&documents, "README.md");
    // What lies beside tests explains them to those who read them.
    let is_for_readers = |path: &&String| !path.starts_with("tests/");
    let missing: Vec<_> =
        documents.keys().filter(is_for_readers).filter(|path| !reached.contains(*path)).collect();
    assert!(missing.is_empty(), "nothing leads to {missing:?}");
}

#[test]
fn the_index_has_a_line_for_each_document() {
    let documents = documents();
    let index = &documents["docs/README.md"];
    let lines: BTreeMap<String, &str> = index
        .lines()
        .filter_map(|line| line.strip_prefix("| ["))
        .filter_map(|line| {
            let (_, rest) = line.split_once("](")?;
            let (link, rest) = rest.split_once(')')?;
            Some((resolve("docs", link)?, rest.trim_matches([' ', '|'])))
        })
        .collect();
    for path in documents.keys().filter(|path| path.starts_with("docs/") && *path != "docs/README.md") {
        let line = lines.get(path).unwrap_or_else(|| panic!("docs/README.md has no line for {path}"));
        assert!(line.split(' ').count() >= 3, "docs/README.md says too little of {path}: {line}");
    }
}

#[test]
fn links_and_anchors_are_found_in_a_document() {
    let document = "# A `b`, c!\n\n[d](e.md#f) ![g](h.png)\n\n| i |\n| --- |\n| [j](#a-b-c) |\n\n## Same\n\n## Same\n\n```sh\n[k](l)\n```\n";
    assert_eq!(links(document), ["e.md#f", "h.png", "#a-b-c"]);
    assert_eq!(anchors(document), BTreeSet::from(["a-b-c", "same", "same-1"].map(str::to_owned)));
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let texts = [("README.md", "# One"), ("docs/two.md", "# Two\n\n## More of it")];
    let documents: Documents =
        texts.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect();
    let exists = |path: &str| documents.contains_key(path) || path == "src/main.rs";
    for (link, expected) in [
        ("two.md", None),
        ("two.md#more-of-it", None),
        ("#two", None),
        ("../README.md#one", None),
        ("../src/main.rs", None),
        ("https://example.org/a#b", None),
        ("three.md", Some("leads to no file")),
        ("two.md#more", Some("leads to no heading")),
        ("#one", Some("leads to no heading")),
        ("../src/main.rs#L1", Some("has an anchor, but leads to no document")),
        ("../../outside.md", Some("leads out of the repository")),
        ("http://example.org/", Some("is no https address of a public host")),
        ("https://localhost/", Some("is no https address of a public host")),
        ("https://", Some("is no address")),
    ] {
        assert_eq!(fault(&documents, exists, "docs/two.md", link), expected, "{link}");
    }
    let linked = Documents::from([
        ("a.md".to_owned(), "[b](b/b.md)".to_owned()),
        ("b/b.md".to_owned(), "[a](../a.md)".to_owned()),
        ("c.md".to_owned(), "[a](a.md)".to_owned()),
    ]);
    assert_eq!(reached(&linked, "a.md"), BTreeSet::from(["a.md", "b/b.md"].map(str::to_owned)));
}
