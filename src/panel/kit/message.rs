//! Messages that the next page shows once (Django's messages framework).

use serde::{Deserialize, Serialize};

/// A message about something that was just done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::panel) struct Message {
    pub level: Level,
    pub text: String,
    /// The label and the address of a link to the object.
    pub link: Option<(String, String)>,
}

/// How a message is shown. It is stored with the session by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::panel) enum Level {
    Success,
    Warning,
}

impl Level {
    /// Returns the CSS class.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Level::Success => "success",
            Level::Warning => "warning",
        }
    }

    /// Returns the word before the text, for readers who do not see the colour.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Level::Success => "Done",
            Level::Warning => "Note",
        }
    }
}

impl Message {
    /// Something was done.
    pub(crate) fn success(text: impl Into<String>) -> Message {
        Message { level: Level::Success, text: text.into(), link: None }
    }

    /// Something was not done, or not as expected.
    pub(crate) fn warning(text: impl Into<String>) -> Message {
        Message { level: Level::Warning, text: text.into(), link: None }
    }

    /// Adds a link behind the text.
    pub(crate) fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Message {
        self.link = Some((label.into(), href.into()));
        self
    }
}
