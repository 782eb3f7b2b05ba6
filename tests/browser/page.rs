//! A page of the tour, and how to get there.

/// Who opens a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Guest,
    Superuser,
    Staff,
}

/// A page: how to get there, and a text that only it has.
pub struct Page {
    pub name: String,
    pub who: Who,
    pub path: String,
    /// Values for the form's fields, by name, including hidden ones.
    pub fields: Vec<(&'static str, String)>,
    /// The button that is pressed afterwards.
    pub button: Option<&'static str>,
    pub says: &'static str,
    /// The error status, which the console reports.
    pub status: Option<u16>,
    /// Whether closed filters and menus are checked, too.
    pub has_folded: bool,
}

pub(super) fn page(name: impl Into<String>, path: impl Into<String>, says: &'static str) -> Page {
    Page {
        name: name.into(),
        who: Who::Superuser,
        path: path.into(),
        fields: Vec::new(),
        button: None,
        says,
        status: None,
        has_folded: false,
    }
}

impl Page {
    pub(super) fn fill(mut self, name: &'static str, value: impl Into<String>) -> Page {
        self.fields.push((name, value.into()));
        self
    }

    pub(super) fn press(mut self, button: &'static str) -> Page {
        self.button = Some(button);
        self
    }

    pub(super) fn status(mut self, status: u16) -> Page {
        self.status = Some(status);
        self
    }

    pub(super) fn folded(mut self) -> Page {
        self.has_folded = true;
        self
    }

    pub(super) fn seen_by(mut self, who: Who) -> Page {
        self.who = who;
        self
    }
}

/// The text at the top of a form with errors.
pub(super) const FAULTS: &str = "Please correct this";
