//! The names of tools that belong to a namespace. Chat completions have no namespaces: the upstream
//! gets one name made of both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The name of a tool, as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ToolName {
    /// The namespace. `None`: the tool belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name within the namespace.
    pub name: String,
}

/// The tools of namespaces, by their joined names.
pub(super) type Joined = BTreeMap<String, ToolName>;

/// The longest name that upstreams take.
const LONGEST: usize = 64;

/// The digits of a digest that tell two names apart.
const DIGITS: usize = 12;

impl ToolName {
    /// Makes the name of a tool without a namespace.
    pub(super) fn plain(name: &str) -> ToolName {
        ToolName { namespace: None, name: name.to_owned() }
    }

    /// Makes the name of a tool of a namespace.
    pub(super) fn of(namespace: &str, name: &str) -> ToolName {
        ToolName { namespace: Some(namespace.to_owned()), name: name.to_owned() }
    }

    /// Returns the name under which the upstream knows the tool, among those of a request. A tool
    /// that is not there any more gets the name that it most likely had.
    pub(super) fn passed(&self, joined: &Joined) -> String {
        let Some(namespace) = &self.namespace else { return self.name.clone() };
        let [first, second] = candidates(namespace, &self.name);
        if joined.get(&first) != Some(self) && joined.get(&second) == Some(self) { second } else { first }
    }

    /// Joins the name with its namespace, to one that is free.
    pub(super) fn join(&self, is_free: impl Fn(&str) -> bool) -> String {
        let Some(namespace) = &self.namespace else { return self.name.clone() };
        let [first, second] = candidates(namespace, &self.name);
        if is_free(&first) { first } else { second }
    }
}

/// Returns the joined names that a tool may get: a readable one, and one that no other tool gets.
fn candidates(namespace: &str, name: &str) -> [String; 2] {
    let has_break = namespace.ends_with('_') || name.starts_with('_');
    let whole = format!("{namespace}{}{name}", if has_break { "" } else { "__" });
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let clean: String = whole.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
    let digest = Sha256::new().chain_update(namespace).chain_update([0]).chain_update(name).finalize();
    let digest: String = digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect();
    // The end of a name says more than its beginning, which all tools of a namespace share.
    let room = LONGEST - DIGITS - 1;
    let end = &clean[clean.len().saturating_sub(room)..];
    let unique = format!("{}_{digest}", end.trim_start_matches(['_', '-']));
    let is_unchanged = clean == whole && clean.len() <= LONGEST;
    [if is_unchanged { clean } else { unique.clone() }, unique]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(namespace: &str, name: &str) -> String {
        ToolName::of(namespace, name).join(|_| true)
    }

    #[test]
    fn joined_names_are_readable_and_fit() {
        assert_eq!(join("mcp__docs__", "search"), "mcp__docs__search");
        assert_eq!(join("mcp__docs", "search"), "mcp__docs__search");
        assert_eq!(join("mcp__docs", "_search"), "mcp__docs_search");
        let long = "n".repeat(80);
        for (namespace, name) in [(long.as_str(), "search"), ("mcp__docs__", &long), ("mcp docs", "süche")] {
            let joined = join(namespace, name);
            assert!(joined.len() <= LONGEST, "{joined}");
            assert!(joined.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{joined}");
        }
        assert_ne!(join("a b", "c"), join("a.b", "c"), "replaced characters do not make names equal");
        assert_ne!(join(&long, "a"), join(&format!("m{long}"), "a"), "nor do those that are cut");
    }

    #[test]
    fn a_name_that_is_taken_gives_another_which_is_found_again() {
        let (first, second) = (ToolName::of("a", "b__c"), ToolName::of("a__b", "c"));
        let mut joined = Joined::new();
        for tool in [&first, &second] {
            let name = tool.join(|name| !joined.contains_key(name));
            joined.insert(name, tool.clone());
        }
        assert_eq!(joined.len(), 2);
        for tool in [&first, &second] {
            assert_eq!(joined.get(&tool.passed(&joined)), Some(tool));
        }
        assert_eq!(ToolName::of("x", "y").passed(&joined), "x__y", "a tool of an earlier request");
        assert_eq!(ToolName::plain("f").passed(&joined), "f");
    }
}
