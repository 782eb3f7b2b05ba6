//! The menu: its groups, the icon and the shortcut of each place, and the numbers beside them.

use super::administrator::Administrator;
use super::list::Tone;
use super::paths;
use super::route::Section;
use crate::models::{MOST_OPEN_WORK, OpenWork, SavedView};

/// A group of places under a heading. *Home* stands alone and has none.
struct Group {
    heading: &'static str,
    places: &'static [Place],
}

/// A section of the panel in the menu. Its label is that of the section.
struct Place {
    path: &'static str,
    /// The id of its icon in `static/icons.svg`.
    icon: &'static str,
    /// The key after `g` that leads to it.
    key: char,
}

const fn place(path: &'static str, icon: &'static str, key: char) -> Place {
    Place { path, icon, key }
}

static GROUPS: [Group; 4] = [
    Group { heading: "", places: &[place(paths::HOME, "home", 'h')] },
    Group {
        heading: "People",
        places: &[place(paths::USERS, "users", 'u'), place(paths::AUTH_TOKENS, "token", 'a')],
    },
    Group {
        heading: "Messages and money",
        places: &[
            place(paths::CHATS, "chat", 'c'),
            place(paths::LEDGER, "ledger", 'l'),
            place(paths::HOLDS, "hold", 'o'),
            place(paths::MODELS, "model", 'm'),
        ],
    },
    Group {
        heading: "Operations",
        places: &[
            place(paths::BULK_OPERATIONS, "bulk", 'b'),
            place(paths::BACKUPS, "backup", 'k'),
            place(paths::HISTORY, "history", 'y'),
            place(paths::SETTINGS, "settings", 's'),
        ],
    },
];

/// The places in the bar at the bottom of a phone. All others are behind *More*.
const BOTTOM: [&str; 4] = [paths::HOME, paths::USERS, paths::CHATS, paths::LEDGER];

/// A group of the menu, as a page shows it.
pub(in crate::panel) struct MenuGroup {
    /// Empty if the group has none.
    pub heading: &'static str,
    pub items: Vec<MenuItem>,
}

/// A link of the menu.
pub(in crate::panel) struct MenuItem {
    pub label: &'static str,
    pub href: &'static str,
    /// The id of its icon in `static/icons.svg`.
    pub icon: &'static str,
    pub is_current: bool,
    pub count: Option<MenuCount>,
    /// The saved views of this list.
    pub views: Vec<MenuView>,
}

/// A number beside a link of the menu, which leads to what it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::panel) struct MenuCount {
    pub number: String,
    /// What it counts, for those who do not see the colour.
    pub what: &'static str,
    pub href: String,
    pub tone: Tone,
}

/// A saved view in the menu.
pub(in crate::panel) struct MenuView {
    pub name: String,
    pub href: String,
    pub is_current: bool,
}

/// A shortcut of one key, or of two keys one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortcut {
    /// The keys, with a space between them.
    pub keys: String,
    /// What it does.
    pub does: String,
    /// Where it leads. Empty if it does something on the page.
    pub href: &'static str,
}

/// Returns the menu of a page that belongs to the section with the path `here`.
pub(super) fn menu(administrator: &Administrator, here: &str) -> Vec<MenuGroup> {
    let item = |place: &Place| {
        let section = section_of(administrator.navigation.sections, place.path)?;
        let views = views(administrator, place.path);
        Some(MenuItem {
            label: section.label,
            href: place.path,
            icon: place.icon,
            // The view itself is current instead.
            is_current: here == place.path && !views.iter().any(|view| view.is_current),
            count: count(place.path, &administrator.open_work),
            views,
        })
    };
    let group = |group: &Group| MenuGroup {
        heading: group.heading,
        items: group.places.iter().filter_map(item).collect(),
    };
    GROUPS.iter().map(group).collect()
}

/// Whether a place is in the bar at the bottom of a phone.
pub(super) fn is_at_the_bottom(path: &str) -> bool {
    BOTTOM.contains(&path)
}

/// Returns all shortcuts, in the order in which people learn them.
pub(in crate::panel) fn shortcuts(sections: &[Section]) -> Vec<Shortcut> {
    let places = GROUPS.iter().flat_map(|group| group.places).filter_map(|place| {
        let label = section_of(sections, place.path)?.label;
        Some(Shortcut { keys: format!("g {}", place.key), does: format!("Go to {label}"), href: place.path })
    });
    let on_the_page = [
        ("Ctrl+K", "Search"),
        ("/", "Search"),
        ("j", "Next row"),
        ("k", "Previous row"),
        ("Enter", "Open the row"),
        ("x", "Tick the row"),
        ("?", "Show the shortcuts"),
        ("Esc", "Close what is open"),
    ];
    let on_the_page =
        on_the_page.map(|(keys, does)| Shortcut { keys: keys.into(), does: does.into(), href: "" });
    places.chain(on_the_page).collect()
}

fn section_of<'a>(sections: &'a [Section], path: &str) -> Option<&'a Section> {
    sections.iter().find(|section| section.path == path)
}

fn views(administrator: &Administrator, path: &str) -> Vec<MenuView> {
    let of_list = administrator.views.iter().filter(|view| view.list == path);
    let item = |view: &SavedView| {
        let href = format!("{}?{}", view.list, view.query);
        MenuView { name: view.name.clone(), is_current: administrator.here == href, href }
    };
    of_list.map(item).collect()
}

/// Returns the number beside a place. A hold past its deadline matters more than those that wait.
fn count(path: &str, open: &OpenWork) -> Option<MenuCount> {
    let count = |number: i64, what, query: &str, tone| MenuCount {
        number: if number > MOST_OPEN_WORK { format!("{MOST_OPEN_WORK}+") } else { number.to_string() },
        what,
        href: format!("{path}{query}"),
        tone,
    };
    match path {
        paths::HOLDS if open.overdue > 0 => {
            Some(count(open.overdue, "overdue", "?overdue=yes", Tone::Warning))
        }
        paths::HOLDS if open.holds > 0 => Some(count(open.holds, "open", "", Tone::Plain)),
        paths::BULK_OPERATIONS if open.failed_bulk > 0 => {
            Some(count(open.failed_bulk, "with failures in 7 days", "?state=failures", Tone::Warning))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> impl Iterator<Item = &'static Place> {
        GROUPS.iter().flat_map(|group| group.places)
    }

    #[test]
    fn each_place_has_a_key_and_an_icon_of_its_own() {
        let sprite = include_str!("../../../static/icons.svg");
        for place in places() {
            assert!(sprite.contains(&format!("id=\"{}\"", place.icon)), "there is no icon {}", place.icon);
            assert_eq!(places().filter(|other| other.key == place.key).count(), 1, "{}", place.key);
            assert_eq!(places().filter(|other| other.icon == place.icon).count(), 1, "{}", place.icon);
        }
        assert!(BOTTOM.iter().all(|path| places().any(|place| place.path == *path)));
    }

    #[test]
    fn overdue_holds_are_counted_before_open_ones() {
        let number = |open: OpenWork| count(paths::HOLDS, &open).map(|count| (count.number, count.what));
        let open = OpenWork { holds: 3, ..OpenWork::default() };
        assert_eq!(number(OpenWork::default()), None);
        assert_eq!(number(open), Some(("3".to_owned(), "open")));
        assert_eq!(number(OpenWork { overdue: 1, ..open }), Some(("1".to_owned(), "overdue")));
        assert_eq!(number(OpenWork { overdue: 100, ..open }), Some(("99+".to_owned(), "overdue")));
        assert_eq!(count(paths::USERS, &open), None);
    }
}
