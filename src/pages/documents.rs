//! The API's documentation, as pages: the documents in `docs/` that people need who write programs
//! for this server. They are a part of the binary, so they describe this version.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::markdown::{Block, parse};
use super::{Frame, page};
use crate::auth::Guest;
use crate::error::Result;
use crate::http::{CurrentSite, Site};

/// The documents that are pages, by the names of their files. Links to others are only text.
const DOCUMENTS: [(&str, &str); 3] = [
    ("api", include_str!("../../docs/api.md")),
    ("charges", include_str!("../../docs/charges.md")),
    ("clients", include_str!("../../docs/clients.md")),
];

static PARSED: LazyLock<Vec<(&'static str, Vec<Block>)>> =
    LazyLock::new(|| DOCUMENTS.iter().map(|(name, text)| (*name, parse(text, &path_of))).collect());

/// The address of a server in the examples.
const EXAMPLE: &str = "http://127.0.0.1:8000";

/// Returns the path of a document's page. `None` if it has no page.
fn path_of(document: &str) -> Option<String> {
    DOCUMENTS.iter().any(|(name, _)| *name == document).then(|| format!("/docs/{document}/"))
}

/// A link to a page of the documentation.
pub(super) struct Link {
    /// The name of the document. Empty for the reference.
    pub(super) name: &'static str,
    /// The path of its page.
    pub(super) path: String,
    /// Its title.
    pub(super) label: String,
}

/// Returns the links to all pages of the documentation.
pub(super) fn links() -> Vec<Link> {
    let reference = Link { name: "", path: "/docs/".to_owned(), label: "Reference".to_owned() };
    let documents = PARSED.iter().map(|(name, blocks)| Link {
        name,
        path: format!("/docs/{name}/"),
        label: title_of(blocks),
    });
    std::iter::once(reference).chain(documents).collect()
}

#[derive(Template)]
#[template(path = "document.html")]
struct DocumentPage {
    frame: Frame,
    title: String,
    blocks: Vec<Block>,
    /// The id and the text of each section.
    sections: Vec<(String, String)>,
    documents: Vec<Link>,
    name: &'static str,
}

/// Returns the title of a document, which is its first heading.
fn title_of(blocks: &[Block]) -> String {
    let title = blocks.iter().find_map(|block| block.heading(1));
    title.map(|(_, text)| text).unwrap_or_default()
}

fn show(name: &'static str, request: &HttpRequest, site: &Site) -> Result<HttpResponse> {
    let address = site.address(request);
    let of_name = PARSED.iter().find(|(document, _)| *document == name);
    let blocks = of_name.map(|(_, blocks)| blocks.as_slice()).unwrap_or_default();
    let document = DocumentPage {
        frame: Frame::of(site),
        title: title_of(blocks),
        sections: blocks.iter().filter_map(|block| block.heading(2)).collect(),
        blocks: blocks.iter().map(|block| block.replace(EXAMPLE, &address)).collect(),
        documents: links(),
        name,
    };
    page(&document, std::convert::identity)
}

/// Shows what the API takes and returns (`GET /docs/api/`).
pub(super) async fn api(_: Guest, request: HttpRequest, site: CurrentSite) -> Result<HttpResponse> {
    show("api", &request, &site)
}

/// Shows what is charged when (`GET /docs/charges/`).
pub(super) async fn charges(_: Guest, request: HttpRequest, site: CurrentSite) -> Result<HttpResponse> {
    show("charges", &request, &site)
}

/// Shows the settings of client programs (`GET /docs/clients/`).
pub(super) async fn clients(_: Guest, request: HttpRequest, site: CurrentSite) -> Result<HttpResponse> {
    show("clients", &request, &site)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// Returns the ids of all headings.
    fn ids(blocks: &[Block]) -> Vec<String> {
        let levels = (1..=4).flat_map(|level| blocks.iter().filter_map(move |block| block.heading(level)));
        levels.map(|(id, _)| id).collect()
    }

    #[test]
    fn every_link_of_a_document_leads_to_a_heading() {
        let of_page = |(name, blocks): &(&str, Vec<Block>)| -> Vec<String> {
            ids(blocks).into_iter().map(|id| format!("/docs/{name}/#{id}")).collect()
        };
        let ids: HashSet<String> = PARSED.iter().flat_map(of_page).collect();
        let mut count = 0;
        for (name, blocks) in PARSED.iter() {
            for href in blocks.iter().flat_map(Block::links) {
                let full = if href.starts_with('#') { format!("/docs/{name}/{href}") } else { href.clone() };
                let is_page = path_of(full.trim_start_matches("/docs/").trim_end_matches('/')).is_some();
                assert!(
                    ids.contains(&full) || is_page || full.starts_with("https://"),
                    "{name} links to {href}"
                );
                count += 1;
            }
        }
        assert!(count > 30, "only {count} links are checked");
    }

    #[test]
    fn every_heading_has_an_id_of_its_own() {
        for (name, blocks) in PARSED.iter() {
            let ids = ids(blocks);
            let different: HashSet<&String> = ids.iter().collect();
            assert_eq!(different.len(), ids.len(), "{name}: {ids:?}");
            assert!(ids.len() > 3, "{name} has only the headings {ids:?}");
        }
    }

    #[test]
    fn nothing_of_a_document_is_left_out() {
        for (name, blocks) in PARSED.iter() {
            let unknown: Vec<&Block> =
                blocks.iter().filter(|block| matches!(block, Block::Unknown(_))).collect();
            assert!(unknown.is_empty(), "{name} has what pages do not show: {unknown:?}");
        }
    }
}
