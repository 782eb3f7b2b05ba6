//! A form that was sent after its session had ended. It comes back with what was entered, and is
//! sent again after signing in.
//!
//! The server stores nothing of it: the page that comes back carries the fields, without passwords.
//! A form names the user for whom it was made. Only this user gets the fields back, so that the
//! next administrator at the same browser does not see them. The name needs no proof: the browser
//! that sends a form has its fields already.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest};
use tokio::sync::oneshot;
use url::form_urlencoded;

use super::paths;

/// The most bytes of a form that come back. A form of a list with 200 ticked rows has about 5,000.
pub(in crate::panel) const MOST_KEPT: usize = 64 * 1024;

/// The fields of a form, in their order.
pub(in crate::panel) type Fields = Arc<Vec<(String, String)>>;

/// A form whose session has ended.
#[derive(Clone, Debug)]
pub struct ReturnedForm {
    /// The address that it was sent to, with its query string.
    pub(in crate::panel) address: String,
    /// The id of the user for whom it was made.
    pub(in crate::panel) owner: i64,
    fields: Fields,
}

impl ReturnedForm {
    /// Takes a form that was sent. `None` if it does not name its user, as a form that the panel
    /// did not make.
    pub(crate) fn sent(request: &HttpRequest, fields: &Fields) -> Option<ReturnedForm> {
        let csrf = fields.iter().find(|(name, _)| name == CSRF).map(|(_, value)| value.as_str())?;
        let (_, owner) = split_token(csrf);
        let address = request.uri().path_and_query().map_or(paths::HOME, |address| address.as_str());
        Some(ReturnedForm { address: address.to_owned(), owner: owner?, fields: Arc::clone(fields) })
    }

    /// Takes a form from the fields of the sign-in page, which carried it.
    pub(crate) fn carried(address: &str, owner: &str, kept: &str) -> Option<ReturnedForm> {
        if kept.len() > MOST_KEPT {
            return None;
        }
        let fields: Vec<_> = form_urlencoded::parse(kept.as_bytes()).into_owned().collect();
        Some(ReturnedForm {
            address: address.to_owned(),
            owner: owner.parse().ok()?,
            fields: Arc::new(fields),
        })
    }

    /// Returns the fields that are kept: all but the passwords and the token.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &(String, String)> {
        self.fields.iter().filter(|(name, _)| !is_secret(name))
    }

    /// Returns the kept fields as one text, for the sign-in page to carry. `None` if they are too
    /// long, or there is nothing that is worth sending again. What was typed into the search box is
    /// quickly typed again, and may be an auth token.
    pub(crate) fn encoded(&self) -> Option<String> {
        if self.signs_out() || self.address.starts_with(paths::SEARCH) {
            return None;
        }
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.kept() {
            encoded.append_pair(name, value);
        }
        Some(encoded.finish()).filter(|encoded| encoded.len() <= MOST_KEPT)
    }

    /// Whether it is the form that signs out.
    pub(crate) fn signs_out(&self) -> bool {
        self.address.starts_with(paths::SIGN_OUT)
    }

    /// Whether passwords were sent with the form. They are not kept.
    pub(crate) fn had_passwords(&self) -> bool {
        self.fields.iter().any(|(name, value)| name != CSRF && is_secret(name) && !value.is_empty())
    }

    /// Returns what was entered, for people: names of fields in words, and their values.
    pub(crate) fn in_words(&self) -> Vec<(String, String)> {
        let ticked = self.fields.iter().filter(|(name, _)| name == "id").count();
        let selected = match (self.fields.iter().any(|(name, _)| name == "all"), ticked) {
            (true, _) => Some("all that match".to_owned()),
            (_, 0) => None,
            (_, 1) => Some("1 row".to_owned()),
            (_, ticked) => Some(format!("{ticked} rows")),
        };
        let selected = selected.map(|rows| ("Selected".to_owned(), rows));
        let entered = self.kept().filter(|(name, value)| !is_technical(name) && !value.trim().is_empty());
        let entered = entered.map(|(name, value)| {
            let is_tick = value == "1" && TICKS.contains(&name.as_str());
            let value = if is_tick { "yes" } else { value };
            (words(name), value.to_owned())
        });
        selected.into_iter().chain(entered).collect()
    }
}

/// The field with the token against forgery.
pub(in crate::panel) const CSRF: &str = "csrf";

/// The fields that are ticked, or are the name of a button.
const TICKS: [&str; 9] =
    ["active", "staff", "superuser", "unusable", "withdrawn", "shortcuts", "preview", "another", "continue"];

/// Whether a field must not come back: a password, or the token of the session that has ended.
pub(in crate::panel) fn is_secret(name: &str) -> bool {
    [CSRF, "again"].contains(&name) || name.contains("password")
}

/// Whether nobody has entered this field: it came with the form.
fn is_technical(name: &str) -> bool {
    let is_hidden =
        ["operation", "version", "list", "expected", "id", "all", "here", "previewed", "undo", "undone"]
            .contains(&name);
    is_hidden || name.starts_with("was_")
}

/// Returns the name of a field as words: `Requests per minute`.
fn words(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).map(|letter| if letter == '_' { ' ' } else { letter }).collect()
}

/// Returns the token of a form's field `csrf`, and the id of the user for whom the form was made.
pub(in crate::panel) fn split_token(csrf: &str) -> (&str, Option<i64>) {
    match csrf.split_once('.') {
        Some((token, owner)) => (token, owner.parse().ok()),
        None => (csrf, None),
    }
}

/// Returns the value of a form's field `csrf`, which [`split_token`] splits.
pub(in crate::panel) fn token_for(token: &str, user_id: i64) -> String {
    format!("{token}.{user_id}")
}

/// What a request's form will have been, once it has arrived.
struct Arriving(oneshot::Receiver<Option<ReturnedForm>>);

/// Announces that the form of a request will be read. The sender gets it.
pub(in crate::panel) fn announce(request: &HttpRequest) -> oneshot::Sender<Option<ReturnedForm>> {
    let (sender, receiver) = oneshot::channel();
    request.extensions_mut().insert(Arriving(receiver));
    sender
}

/// Waits for the form of a request, if it was announced. Both are extracted at the same time, so
/// that one can wait for the other.
pub(in crate::panel) async fn arrival(request: &HttpRequest) -> Option<ReturnedForm> {
    let arriving = request.extensions_mut().remove::<Arriving>()?;
    arriving.0.await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> ReturnedForm {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ReturnedForm { address: "/admin/users/7/adjust/".to_owned(), owner: 3, fields: Arc::new(fields) }
    }

    #[test]
    fn what_comes_back_has_neither_passwords_nor_the_token() {
        let sent = form(&[
            ("csrf", "secret-token.3"),
            ("amount", "500"),
            ("reason", "a gift & more"),
            ("password", "hunter2"),
            ("again", "hunter2"),
            ("old_password", "hunter2"),
            ("own_password", "hunter2"),
        ]);
        let kept = sent.encoded().unwrap();
        assert_eq!(kept, "amount=500&reason=a+gift+%26+more");
        let back = ReturnedForm::carried("/admin/", "3", &kept).unwrap();
        assert_eq!((back.owner, back.encoded().unwrap()), (3, kept));
        assert!(sent.had_passwords() && !back.had_passwords());
    }

    #[test]
    fn a_form_that_is_too_long_does_not_come_back() {
        let long = "x".repeat(MOST_KEPT);
        assert!(form(&[("reason", &long)]).encoded().is_none());
        assert!(form(&[("reason", &long[7..])]).encoded().is_some());
        assert!(ReturnedForm::carried("/admin/", "3", &format!("reason={long}")).is_none());
    }

    #[test]
    fn what_was_entered_is_shown_in_words() {
        let shown = |fields: &[(&str, &str)]| {
            let words = form(fields).in_words();
            words.into_iter().map(|(label, value)| format!("{label}: {value}")).collect::<Vec<_>>()
        };
        let fields = [("operation", "x"), ("requests_per_minute", "1"), ("staff", "1"), ("name", " ")];
        assert_eq!(shown(&fields), ["Requests per minute: 1", "Staff: yes"]);
        assert_eq!(shown(&[("id", "1"), ("id", "2"), ("amount", "5")]), ["Selected: 2 rows", "Amount: 5"]);
        assert_eq!(shown(&[("all", "1"), ("list", "q=a")]), ["Selected: all that match"]);
    }

    #[test]
    fn a_token_names_the_user_of_its_form() {
        assert_eq!(split_token(&token_for("abc-_", 17)), ("abc-_", Some(17)));
        assert_eq!(split_token("abc"), ("abc", None));
        assert_eq!(split_token("abc.x"), ("abc", None));
    }
}
