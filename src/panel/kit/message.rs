//! Messages that the next page shows once (Django's messages framework).

use serde::{Deserialize, Serialize};

/// A message about something that was just done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::panel) struct Message {
    pub level: Level,
    pub text: String,
    /// The label and the address of a link to the object.
    pub link: Option<(String, String)>,
    /// The form whose button undoes what was done. Versions before it stored messages without one.
    #[serde(default)]
    pub undo: Option<UndoForm>,
}

/// The field that marks a form as one that undoes something.
pub(in crate::panel) const UNDO: &str = "undo";

/// A form with one button, which undoes what was just done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::panel) struct UndoForm {
    /// The address that it is sent to.
    pub action: String,
    /// The names and values of its hidden fields.
    pub fields: Vec<(String, String)>,
}

impl UndoForm {
    /// A form with these fields, and the one that marks it.
    pub(crate) fn new(action: String, fields: &[(&str, &str)]) -> UndoForm {
        let marked = [(UNDO, "1")].into_iter().chain(fields.iter().copied());
        let fields = marked.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        UndoForm { action, fields }
    }
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
        Message { level: Level::Success, text: text.into(), link: None, undo: None }
    }

    /// Something was not done, or not as expected.
    pub(crate) fn warning(text: impl Into<String>) -> Message {
        Message { level: Level::Warning, text: text.into(), link: None, undo: None }
    }

    /// Adds a link behind the text.
    pub(crate) fn link(mut self, label: impl Into<String>, href: impl Into<String>) -> Message {
        self.link = Some((label.into(), href.into()));
        self
    }

    /// Adds a button *Undo* behind the text.
    pub(crate) fn undo(mut self, form: UndoForm) -> Message {
        self.undo = Some(form);
        self
    }
}
