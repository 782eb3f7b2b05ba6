//! An administrator's browser without a screen. It keeps the session's cookie, reads the forms on
//! pages, fills them in and sends them as browsers do.

use std::cell::RefCell;

use url::form_urlencoded;

use super::app::{Answer, Request, TestApp};
use super::html::{self, Form, Piece, Tag};
use super::server::PASSWORD;

pub const HOST: &str = "localhost:8000";
pub const ORIGIN: &str = "http://localhost:8000";

pub struct Browser<'a> {
    app: &'a TestApp,
    /// The cookies as `name=value`.
    cookies: RefCell<Vec<String>>,
    origin: String,
}

/// An answer, with the address of the page.
#[derive(Clone, Debug)]
pub struct Page {
    pub answer: Answer,
    pub path: String,
}

impl<'a> Browser<'a> {
    pub fn guest(app: &'a TestApp) -> Browser<'a> {
        Browser::at(app, ORIGIN)
    }

    /// Returns a browser that has opened the panel at another address.
    pub fn at(app: &'a TestApp, origin: &str) -> Browser<'a> {
        Browser { app, cookies: RefCell::default(), origin: origin.to_owned() }
    }

    /// Signs in with [`PASSWORD`].
    pub async fn sign_in(&self, name: &str) -> Page {
        self.sign_in_with(name, PASSWORD).await
    }

    pub async fn sign_in_with(&self, name: &str, password: &str) -> Page {
        let page = self.get("/admin/sign-in/").await;
        let form = if page.status() == 303 { self.bare_form("/admin/sign-in/").await } else { page.form() };
        self.send(&form.with(&[("username", name), ("password", password)])).await
    }

    /// Returns a browser that is signed in with an existing account.
    pub async fn signed_in(app: &'a TestApp, name: &str) -> Browser<'a> {
        let browser = Browser::guest(app);
        browser.sign_in(name).await.assert_status(303);
        browser
    }

    /// Returns the cookie of the session, or else of the guest, as `name=value`.
    pub fn cookie(&self) -> Option<String> {
        let cookies = self.cookies.borrow();
        cookies.iter().find(|cookie| cookie.contains("_session_")).or(cookies.first()).cloned()
    }

    /// Replaces all cookies.
    pub fn set_cookie(&self, cookie: Option<String>) {
        *self.cookies.borrow_mut() = cookie.into_iter().collect();
    }

    /// Makes a request with the browser's cookies, without sending it.
    pub fn request(&self, method: &str, path: &str) -> Request<'a> {
        let request = self.app.request(method, path).header("Host", HOST);
        let cookies = self.cookies.borrow().join("; ");
        if cookies.is_empty() { request } else { request.header("Cookie", &cookies) }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.page(path, self.request("GET", path).send().await)
    }

    /// Sends a form. Returns the response, which may be a redirect.
    pub async fn send(&self, form: &Form) -> Page {
        let answer = self.form_request(form).send().await;
        self.page(&form.action, answer)
    }

    /// Sends a form that leads to a preview, and confirms that. Returns the response.
    pub async fn confirm(&self, form: &Form) -> Page {
        let preview = self.send(form).await;
        preview.assert_status(200);
        self.send(&preview.form()).await
    }

    /// Makes the request of a form, without sending it: a test can send several at once.
    pub fn form_request(&self, form: &Form) -> Request<'a> {
        let request = self.request("POST", &form.action).header("Origin", &self.origin);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(encoded(&form.fields))
    }

    /// Opens the page of a form, fills it in and sends it.
    pub async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.get(path).await;
        page.assert_status(200);
        self.send(&page.form().with(fields)).await
    }

    /// Opens the page of a form, fills it in, sends it, and follows the redirect.
    pub async fn submit_and_follow(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.submit(path, fields).await;
        self.follow(&page).await
    }

    /// Follows a page's redirect.
    pub async fn follow(&self, page: &Page) -> Page {
        page.assert_status(303);
        self.get(page.location()).await
    }

    /// Returns a form with only the session's CSRF token, as somebody without access to its page
    /// would make it.
    pub async fn bare_form(&self, path: &str) -> Form {
        let csrf = self.csrf().await;
        Form { action: path.to_owned(), fields: vec![("csrf".to_owned(), csrf)], ..Form::default() }
    }

    /// Returns the CSRF token of this session's forms.
    pub async fn csrf(&self) -> String {
        // Signed-in users are redirected from the sign-in page.
        let page = self.get("/admin/sign-in/").await;
        let page = if page.status() == 303 { self.get("/admin/settings/").await } else { page };
        let csrf = page.forms().iter().find_map(|form| form.field("csrf").map(str::to_owned));
        csrf.unwrap_or_else(|| panic!("no form on {}: {}", page.path, page.text()))
    }

    /// Follows the link with this text.
    pub async fn click(&self, page: &Page, text: &str) -> Page {
        let href = page.link(text);
        let own = page.path.split('?').next().unwrap_or_default();
        self.get(&if href.starts_with('?') { format!("{own}{href}") } else { href }).await
    }

    /// Stores the response's cookies, and removes those that it ends.
    fn page(&self, path: &str, answer: Answer) -> Page {
        for (name, value) in &answer.headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                let is_gone = pair.ends_with('=') || value.contains("Max-Age=0");
                let name = pair.split('=').next().unwrap_or_default();
                let mut cookies = self.cookies.borrow_mut();
                cookies.retain(|cookie| cookie.split('=').next() != Some(name));
                cookies.extend((!is_gone).then(|| pair.to_owned()));
            }
        }
        Page { answer, path: path.to_owned() }
    }
}

/// Encodes fields as a form sends them.
pub fn encoded(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl Page {
    pub fn status(&self) -> u16 {
        self.answer.status
    }

    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Page {
        assert_eq!(self.answer.status, status, "{}: {}", self.path, self.text());
        self
    }

    /// Checks that the page shows all of these texts.
    #[track_caller]
    pub fn assert_shows(&self, texts: &[&str]) -> &Page {
        let shown = self.text();
        for text in texts {
            assert!(shown.contains(text), "{} does not show {text:?}: {shown}", self.path);
        }
        self
    }

    /// Checks that the HTML contains none of these texts.
    #[track_caller]
    pub fn assert_hides(&self, texts: &[&str]) -> &Page {
        let html = self.html();
        for text in texts {
            assert!(!html.contains(text), "{} contains {text:?}: {html}", self.path);
        }
        self
    }

    /// Returns the target of a redirect.
    #[track_caller]
    pub fn location(&self) -> &str {
        self.answer
            .header("location")
            .unwrap_or_else(|| panic!("{} is not a redirect: {}", self.path, self.text()))
    }

    pub fn html(&self) -> String {
        self.answer.text()
    }

    /// Returns the visible text.
    pub fn text(&self) -> String {
        html::text(&self.html())
    }

    pub fn tags(&self) -> Vec<Tag> {
        let tags = html::pieces(&self.html()).into_iter();
        tags.filter_map(|piece| if let Piece::Tag(tag) = piece { Some(tag) } else { None }).collect()
    }

    pub fn links(&self) -> Vec<String> {
        let tags = self.tags().into_iter().filter(|tag| tag.name == "a");
        tags.filter_map(|tag| tag.attribute("href").map(str::to_owned)).collect()
    }

    /// Returns the choices of filters whose text ends with a count, as in `Complete (12)`: the
    /// parameter and the count.
    pub fn counted_choices(&self) -> Vec<(String, i64)> {
        let (mut choices, mut name, mut choice) = (Vec::new(), String::new(), None);
        for piece in html::pieces(&self.html()) {
            match piece {
                Piece::Tag(tag) if tag.name == "select" => {
                    name = tag.attribute("name").unwrap_or_default().to_owned();
                }
                Piece::Tag(tag) if tag.name == "option" => {
                    choice = tag.attribute("value").map(|value| format!("{name}={value}"));
                }
                Piece::Text(words) => {
                    let count = words.trim().strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
                    let count = count.and_then(|(_, count)| count.parse().ok());
                    choices.extend(choice.take().zip(count));
                }
                Piece::Tag(_) => {}
            }
        }
        choices
    }

    /// Returns the presets above a list, each with its address and its count, if it has one.
    pub fn tabs(&self) -> Vec<(String, Option<i64>)> {
        let html = self.html();
        let tabs = html.split_once("class=\"tabs\"").map_or("", |(_, rest)| rest);
        let tabs = tabs.split_once("</nav>").map_or("", |(tabs, _)| tabs);
        let mut found: Vec<(String, Option<i64>)> = Vec::new();
        for piece in html::pieces(tabs) {
            match (piece, found.last_mut()) {
                (Piece::Tag(tag), _) if tag.name == "a" => {
                    found.push((tag.attribute("href").unwrap_or_default().to_owned(), None));
                }
                (Piece::Text(words), Some((_, count))) => {
                    *count = words.trim().replace(',', "").parse().ok().or(*count);
                }
                _ => {}
            }
        }
        found
    }

    /// Returns all forms, each with a complete action.
    pub fn forms(&self) -> Vec<Form> {
        let own = |form: Form| {
            if form.action.is_empty() { Form { action: self.path.clone(), ..form } } else { form }
        };
        html::forms(&self.html()).into_iter().map(own).collect()
    }

    /// Returns the forms that change something, except those in the menus of every page and of
    /// every list, and the button *Undo* in a message.
    pub fn posting_forms(&self) -> Vec<Form> {
        let menus = [
            "/admin/search/",
            "/admin/sign-out/",
            "/admin/settings/theme/",
            "/admin/columns/",
            "/admin/views/",
        ];
        let is_in_a_menu = |form: &Form| menus.iter().any(|menu| form.action.starts_with(menu));
        let is_undo = |form: &Form| form.field("undo").is_some();
        let forms = self.forms().into_iter();
        forms.filter(|form| form.method == "post" && !is_in_a_menu(form) && !is_undo(form)).collect()
    }

    /// Returns the form of the button *Undo* in a message.
    #[track_caller]
    pub fn undo_form(&self) -> Form {
        let form = self.forms().into_iter().find(|form| form.field("undo").is_some());
        form.unwrap_or_else(|| panic!("nothing can be undone on {}: {}", self.path, self.text()))
    }

    /// Returns the first of the forms that change something.
    #[track_caller]
    pub fn form(&self) -> Form {
        let form = self.posting_forms().into_iter().next();
        form.unwrap_or_else(|| panic!("there is no form on {}: {}", self.path, self.text()))
    }

    /// Returns the address of the link with this text.
    #[track_caller]
    pub fn link(&self, text: &str) -> String {
        let pieces = html::pieces(&self.html());
        let mut href = None;
        for piece in pieces {
            match piece {
                Piece::Tag(tag) if tag.name == "a" => href = tag.attribute("href").map(str::to_owned),
                Piece::Tag(tag) if tag.name == "/a" => href = None,
                Piece::Text(words) if words.trim() == text && href.is_some() => break,
                _ => {}
            }
        }
        href.unwrap_or_else(|| panic!("there is no link {text:?} on {}: {}", self.path, self.text()))
    }
}
