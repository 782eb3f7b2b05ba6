//! Messages that the next page shows once.

use serde::{Deserialize, Serialize};

/// What a page says once, after something was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::panel) struct Message {
    pub level: Level,
    pub text: String,
    /// Where the thing is that it is about: a label and a link.
    pub link: Option<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::panel) enum Level {
    Success,
    Warning,
}

impl Level {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Level::Success => "success",
            Level::Warning => "warning",
        }
    }

    /// What comes before the text for those who see no colours.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Success => "Done",
            Level::Warning => "Note",
        }
    }
}

impl Message {
    pub(crate) fn success(text: impl Into<String>) -> Message {
        Message { level: Level::Success, text: text.into(), link: None }
    }

    pub(crate) fn warning(text: impl Into<String>) -> Message {
        Message { level: Level::Warning, text: text.into(), link: None }
    }

    pub(crate) fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Message {
        self.link = Some((label.into(), href.into()));
        self
    }
}
