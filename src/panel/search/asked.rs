//! What is searched for, and by whom.

use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::preferences::Preferences;

/// The most hits of each kind.
pub(super) const SHOWN: i64 = 5;

/// What is searched for, and by whom.
pub(super) struct Search {
    pub words: String,
    pub preferences: Preferences,
    pub may_change: bool,
    /// The pages of the menu: labels and paths.
    pub pages: Vec<(String, String)>,
}

impl Search {
    pub(super) fn new(administrator: &Administrator, words: &str) -> Search {
        let sections = administrator.navigation.sections.iter();
        let sections = sections.map(|section| (section.label.to_owned(), section.path.to_owned()));
        let views = administrator.views.iter();
        let views = views.map(|view| (view.name.clone(), format!("{}?{}", view.list, view.query)));
        Search {
            words: words.to_owned(),
            preferences: Preferences { page_size: SHOWN, ..administrator.preferences() },
            may_change: administrator.may_change(),
            pages: sections.chain(views).collect(),
        }
    }
}

/// Returns the query string of a list with these words.
pub(super) fn query(words: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("q", words).finish()
}
