//! The parts of Markdown that our documents use, as blocks that a template renders. The template
//! escapes all texts, so no document becomes markup by itself.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// A block of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    Heading {
        /// 1 to 6.
        level: u8,
        id: String,
        runs: Vec<Run>,
    },
    Paragraph(Vec<Run>),
    Code(String),
    List {
        is_ordered: bool,
        items: Vec<Vec<Run>>,
    },
    Table {
        /// The id of the heading above it.
        under: String,
        heads: Vec<Vec<Run>>,
        rows: Vec<Vec<Vec<Run>>>,
    },
    /// What pages do not show. A test keeps it out of the documents.
    Unknown(String),
}

/// Words of one style.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) is_code: bool,
    pub(super) is_strong: bool,
    pub(super) is_emphasis: bool,
    /// The address of a link. Empty if it is none.
    pub(super) href: String,
}

impl Run {
    fn has_style(&self, other: &Run) -> bool {
        let style = |run: &Run| (run.is_code, run.is_strong, run.is_emphasis);
        style(self) == style(other) && self.href == other.href
    }
}

impl Block {
    /// Returns the id and the text of a heading of this level.
    pub(super) fn heading(&self, wanted: u8) -> Option<(String, String)> {
        match self {
            Block::Heading { level, id, runs } if *level == wanted => Some((id.clone(), text_of(runs))),
            _ => None,
        }
    }

    /// Returns the block with another text in its code.
    pub(super) fn replace(&self, from: &str, to: &str) -> Block {
        let run = |run: &Run| match run.is_code {
            true => Run { text: run.text.replace(from, to), ..run.clone() },
            false => run.clone(),
        };
        let runs = |runs: &Vec<Run>| runs.iter().map(run).collect::<Vec<_>>();
        match self {
            Block::Code(text) => Block::Code(text.replace(from, to)),
            Block::Paragraph(own) => Block::Paragraph(runs(own)),
            Block::List { is_ordered, items } => {
                Block::List { is_ordered: *is_ordered, items: items.iter().map(runs).collect() }
            }
            other => other.clone(),
        }
    }

    /// Returns the addresses of all links.
    #[cfg(test)]
    pub(super) fn links(&self) -> Vec<String> {
        let runs: Vec<&Run> = match self {
            Block::Heading { runs, .. } | Block::Paragraph(runs) => runs.iter().collect(),
            Block::List { items, .. } => items.iter().flatten().collect(),
            Block::Table { heads, rows, .. } => {
                heads.iter().flatten().chain(rows.iter().flatten().flatten()).collect()
            }
            Block::Code(_) | Block::Unknown(_) => Vec::new(),
        };
        runs.into_iter().map(|run| run.href.clone()).filter(|href| !href.is_empty()).collect()
    }
}

fn text_of(runs: &[Run]) -> String {
    runs.iter().map(|run| run.text.as_str()).collect()
}

/// Parses a document. `path_of` returns the path of the page of another document, by its name
/// without `.md`, if it has one.
pub(super) fn parse(text: &str, path_of: &dyn Fn(&str) -> Option<String>) -> Vec<Block> {
    let mut builder = Builder::new(path_of);
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        builder.take(event);
    }
    builder.blocks
}

/// What has been read so far.
struct Builder<'a> {
    path_of: &'a dyn Fn(&str) -> Option<String>,
    blocks: Vec<Block>,
    /// The words of the current paragraph, heading, item or cell.
    runs: Vec<Run>,
    /// The style of the words to come.
    style: Run,
    /// The text of the current block of code.
    code: Option<String>,
    /// Whether the current list is ordered, and its items.
    list: Option<(bool, Vec<Vec<Run>>)>,
    /// The cells of the current row.
    row: Vec<Vec<Run>>,
    heads: Vec<Vec<Run>>,
    rows: Vec<Vec<Vec<Run>>>,
    /// The id of the latest heading.
    under: String,
}

impl<'a> Builder<'a> {
    fn new(path_of: &'a dyn Fn(&str) -> Option<String>) -> Builder<'a> {
        Builder {
            path_of,
            blocks: Vec::new(),
            runs: Vec::new(),
            style: Run::default(),
            code: None,
            list: None,
            row: Vec::new(),
            heads: Vec::new(),
            rows: Vec::new(),
            under: String::new(),
        }
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some(code) => code.push_str(&text),
                None => self.push(&text, false),
            },
            Event::Code(text) => self.push(&text, true),
            Event::SoftBreak | Event::HardBreak => self.push(" ", false),
            // Comments for those who edit the document.
            Event::Html(_) | Event::InlineHtml(_) => {}
            other => self.blocks.push(Block::Unknown(format!("{other:?}"))),
        }
    }

    fn begin(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::CodeBlock(_) if self.list.is_none() => self.code = Some(String::new()),
            Tag::List(first) if self.list.is_none() => self.list = Some((first.is_some(), Vec::new())),
            Tag::Strong => self.style.is_strong = true,
            Tag::Emphasis => self.style.is_emphasis = true,
            Tag::Link { dest_url, .. } => self.style.href = self.address(&dest_url),
            Tag::Paragraph
            | Tag::Heading { .. }
            | Tag::Item
            | Tag::HtmlBlock
            | Tag::Table(_)
            | Tag::TableHead
            | Tag::TableRow
            | Tag::TableCell => {}
            other => self.blocks.push(Block::Unknown(format!("{other:?}"))),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph if self.list.is_some() => self.push(" ", false),
            TagEnd::Paragraph => {
                let runs = self.words();
                self.blocks.push(Block::Paragraph(runs));
            }
            TagEnd::Heading(level) => {
                let runs = self.words();
                self.under = slug(&text_of(&runs));
                self.blocks.push(Block::Heading { level: level as u8, id: self.under.clone(), runs });
            }
            TagEnd::CodeBlock => {
                let code = self.code.take().unwrap_or_default();
                self.blocks.push(Block::Code(code.trim_end_matches('\n').to_owned()));
            }
            TagEnd::Item => {
                let runs = self.words();
                if let Some((_, items)) = &mut self.list {
                    items.push(runs);
                }
            }
            TagEnd::List(_) => {
                if let Some((is_ordered, items)) = self.list.take() {
                    self.blocks.push(Block::List { is_ordered, items });
                }
            }
            TagEnd::TableCell => {
                let runs = self.words();
                self.row.push(runs);
            }
            TagEnd::TableHead => self.heads = std::mem::take(&mut self.row),
            TagEnd::TableRow => self.rows.push(std::mem::take(&mut self.row)),
            TagEnd::Table => {
                let (heads, rows) = (std::mem::take(&mut self.heads), std::mem::take(&mut self.rows));
                self.blocks.push(Block::Table { under: self.under.clone(), heads, rows });
            }
            TagEnd::Strong => self.style.is_strong = false,
            TagEnd::Emphasis => self.style.is_emphasis = false,
            TagEnd::Link => self.style.href.clear(),
            _ => {}
        }
    }

    /// Adds words to the current block, to the latest run if that has the same style.
    fn push(&mut self, text: &str, is_code: bool) {
        let style = Run { is_code, ..self.style.clone() };
        match self.runs.last_mut() {
            Some(last) if last.has_style(&style) => last.text.push_str(text),
            _ => self.runs.push(Run { text: text.to_owned(), ..style }),
        }
    }

    /// Returns the words of the block that ends.
    fn words(&mut self) -> Vec<Run> {
        let mut runs = std::mem::take(&mut self.runs);
        if let Some(last) = runs.last_mut().filter(|last| !last.is_code) {
            last.text.truncate(last.text.trim_end().len());
        }
        runs
    }

    /// Returns where a link leads on a page: to a page of ours, to another site, or nowhere.
    fn address(&self, destination: &str) -> String {
        if destination.starts_with('#') || destination.starts_with("https://") {
            return destination.to_owned();
        }
        let (file, heading) = destination.split_once('#').unwrap_or((destination, ""));
        let path = file.strip_suffix(".md").and_then(|name| (self.path_of)(name));
        match (path, heading) {
            (None, _) => String::new(),
            (Some(path), "") => path,
            (Some(path), heading) => format!("{path}#{heading}"),
        }
    }
}

/// Returns the id of a heading, as GitHub makes it: links of the documents use it there, too.
fn slug(text: &str) -> String {
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    text.to_lowercase().chars().filter(is_kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<Block> {
        parse(text, &|name| (name == "api").then(|| "/docs/api/".to_owned()))
    }

    fn plain(text: &str) -> Run {
        Run { text: text.to_owned(), ..Run::default() }
    }

    fn code(text: &str) -> Run {
        Run { is_code: true, ..plain(text) }
    }

    #[test]
    fn the_parts_that_documents_use_become_blocks() {
        let text = "# A `b`\n\nOne\ntwo **three** *four* `<i>`.\n\n- five\n  six\n- seven\n\n1. eight\n\n```sh\na\n b\n```\n\n    c\n\n| x | `y` |\n| --- | --- |\n| 1 | <b> & 2 |\n";
        let strong = Run { is_strong: true, ..plain("three") };
        let emphasis = Run { is_emphasis: true, ..plain("four") };
        assert_eq!(
            blocks(text),
            [
                Block::Heading { level: 1, id: "a-b".to_owned(), runs: vec![plain("A "), code("b")] },
                Block::Paragraph(vec![
                    plain("One two "),
                    strong,
                    plain(" "),
                    emphasis,
                    plain(" "),
                    code("<i>"),
                    plain("."),
                ]),
                Block::List { is_ordered: false, items: vec![vec![plain("five six")], vec![plain("seven")]] },
                Block::List { is_ordered: true, items: vec![vec![plain("eight")]] },
                Block::Code("a\n b".to_owned()),
                Block::Code("c".to_owned()),
                Block::Table {
                    under: "a-b".to_owned(),
                    heads: vec![vec![plain("x")], vec![code("y")]],
                    rows: vec![vec![vec![plain("1")], vec![plain(" & 2")]]],
                },
            ]
        );
    }

    #[test]
    fn links_lead_to_pages_and_to_headings() {
        let text = "[a](#b) [c](api.md) [d](api.md#e-f) [g](settings.md) [h](https://x.example/)";
        let links = blocks(text).iter().flat_map(Block::links).collect::<Vec<_>>();
        assert_eq!(links, ["#b", "/docs/api/", "/docs/api/#e-f", "https://x.example/"]);
        assert_eq!(slug("OpenAI's SDK for Python"), "openais-sdk-for-python");
        assert_eq!(slug("/v1/chat/completions"), "v1chatcompletions");
    }

    #[test]
    fn what_a_page_cannot_show_is_noted() {
        for text in ["> quoted", "- a\n\n  ```\n  b\n  ```\n", "- a\n  - b\n", "![a](b.png)", "---"] {
            let found = blocks(text);
            assert!(found.iter().any(|block| matches!(block, Block::Unknown(_))), "{text}: {found:?}");
        }
    }

    #[test]
    fn examples_get_another_address() {
        let found = blocks("`http://a/x` and http://a/x\n\n    curl http://a/y\n");
        let replaced: Vec<Block> =
            found.iter().map(|block| block.replace("http://a/", "https://b/")).collect();
        let words = Block::Paragraph(vec![code("https://b/x"), plain(" and http://a/x")]);
        assert_eq!(replaced, [words, Block::Code("curl https://b/y".to_owned())]);
    }
}
