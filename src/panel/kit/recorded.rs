//! Values of the history as an administrator reads them: times in their own time zone, and numbers
//! with separated thousands. The history stores both as text.

use chrono::NaiveDateTime;

use super::format;
use super::zone::Zone;
use crate::models::Change;

/// The fields whose values are texts that somebody chose. A name of digits is not a number.
const TEXTS: [&str; 8] =
    ["username", "name", "first_characters", "first characters", "aliases", "extra_fields", "what", "state"];

impl Zone {
    /// Returns the value before a change.
    pub(crate) fn before(self, change: &Change) -> String {
        self.recorded(&change.field, &change.before)
    }

    /// Returns the value after a change.
    pub(crate) fn after(self, change: &Change) -> String {
        self.recorded(&change.field, &change.after)
    }

    fn recorded(self, field: &str, value: &str) -> String {
        if TEXTS.contains(&field) {
            return value.to_owned();
        }
        if let Ok(number) = value.parse::<i64>() {
            return format::tokens(number);
        }
        let time = value.strip_suffix('Z').and_then(|time| time.parse::<NaiveDateTime>().ok());
        time.map_or_else(|| value.to_owned(), |time| self.show(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{
        AuthTokenChanges, Editable, EditableField, FieldValue, ModelChanges, UserChanges, UserLimits,
    };

    fn read(field: &str, value: &str) -> String {
        Zone::parse("Europe/Berlin").unwrap().after(&Change::new(field, "", value))
    }

    #[test]
    fn numbers_are_grouped_and_times_are_in_the_zone() {
        assert_eq!(read("tokens", "8999999999990000"), "8,999,999,999,990,000");
        assert_eq!(read("amount", "-25200"), "\u{2212}25,200");
        assert_eq!(read("revoked", "2026-11-29T10:01:29.272437Z"), "2026-11-29 11:01:29");
        assert_eq!(read("expires", "2026-07-01T22:30:00Z"), "2026-07-02 00:30:00");
        for other in ["yes", "default", "never", "unknown", "", "99999999999999999999", "2026-11-29"] {
            assert_eq!(read("expires", other), other);
        }
    }

    /// Checks that texts are left alone, whatever they look like, and nothing else is.
    fn check<E: Editable>(values: &E) {
        let is_text = |field: &&EditableField<E>| matches!((field.value)(values), FieldValue::Text(_));
        let names = |texts: bool| E::FIELDS.iter().filter(move |field| is_text(field) == texts);
        for field in names(true) {
            assert_eq!(read(field.name, "1234567"), "1234567", "{}", field.name);
        }
        for field in names(false) {
            assert_eq!(read(field.name, "1234567"), "1,234,567", "{}", field.name);
        }
    }

    #[test]
    fn texts_that_look_like_numbers_or_times_stay_as_they_are() {
        let name = "1234567".to_owned();
        check(&UserChanges {
            username: name.clone(),
            username_canonical: name.clone(),
            is_active: true,
            is_staff: true,
            is_superuser: true,
        });
        check(&UserLimits::default());
        check(&ModelChanges::default());
        check(&AuthTokenChanges { name: Some(name), expires_at: None });
        assert_eq!(read("username", "2026-11-29T10:01:29Z"), "2026-11-29T10:01:29Z");
    }
}
