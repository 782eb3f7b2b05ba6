//! An administrator's browser without a screen: it keeps the session's cookie, reads the forms of pages, fills them in
//! and sends them as browsers do.

use std::cell::RefCell;

use url::form_urlencoded;

use super::app::{Answer, Request, TestApp};
use super::html::{self, Form, Piece, Tag};
use super::server::PASSWORD;

pub const HOST: &str = "tollgate.test:8000";
pub const ORIGIN: &str = "http://tollgate.test:8000";

pub struct Browser<'a> {
    app: &'a TestApp,
    /// `name=value`, if there is one.
    cookie: RefCell<Option<String>>,
    origin: String,
}

/// An answer with the address that it came from.
#[derive(Clone, Debug)]
pub struct Page {
    pub answer: Answer,
    pub path: String,
}

impl<'a> Browser<'a> {
    pub fn guest(app: &'a TestApp) -> Browser<'a> {
        Browser::at(app, ORIGIN)
    }

    /// One that has opened the panel by another address.
    pub fn at(app: &'a TestApp, origin: &str) -> Browser<'a> {
        Browser { app, cookie: RefCell::default(), origin: origin.to_owned() }
    }

    /// Signs in by the page for it, with [`PASSWORD`].
    pub async fn sign_in(&self, name: &str) -> Page {
        self.sign_in_with(name, PASSWORD).await
    }

    pub async fn sign_in_with(&self, name: &str, password: &str) -> Page {
        let page = self.get("/admin/sign-in/").await;
        let form = if page.status() == 303 { self.bare_form("/admin/sign-in/").await } else { page.form() };
        self.send(&form.with(&[("username", name), ("password", password)])).await
    }

    /// Another browser, signed in with an account that there is.
    pub async fn signed_in(app: &'a TestApp, name: &str) -> Browser<'a> {
        let browser = Browser::guest(app);
        browser.sign_in(name).await.assert_status(303);
        browser
    }

    /// The session's secret, or that of a guest.
    pub fn cookie(&self) -> Option<String> {
        self.cookie.borrow().clone()
    }

    pub fn set_cookie(&self, cookie: Option<String>) {
        *self.cookie.borrow_mut() = cookie;
    }

    /// A request with the browser's cookie, not sent yet.
    pub fn request(&self, method: &str, path: &str) -> Request<'a> {
        let request = self.app.request(method, path).header("Host", HOST);
        match &*self.cookie.borrow() {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Page {
        self.took(path, self.request("GET", path).send().await)
    }

    /// Sends a form and shows what it answers, which may be the way to another page.
    pub async fn send(&self, form: &Form) -> Page {
        let answer = self.sending(form).send().await;
        self.took(&form.action, answer)
    }

    /// The same, not sent yet, for those who send at once.
    pub fn sending(&self, form: &Form) -> Request<'a> {
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

    /// The same, and goes where it leads.
    pub async fn submit_and_follow(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.submit(path, fields).await;
        self.follow(&page).await
    }

    /// Goes where a page leads.
    pub async fn follow(&self, page: &Page) -> Page {
        page.assert_status(303);
        self.get(page.location()).await
    }

    /// A form with nothing in it but the token of this session, as whoever has no page to it would make one.
    pub async fn bare_form(&self, path: &str) -> Form {
        let csrf = self.csrf().await;
        Form { action: path.to_owned(), fields: vec![("csrf".to_owned(), csrf)], ..Form::default() }
    }

    /// The token that this session's forms carry.
    pub async fn csrf(&self) -> String {
        // Who is signed in is not shown the page for it.
        let page = self.get("/admin/sign-in/").await;
        let page = if page.status() == 303 { self.get("/admin/settings/").await } else { page };
        let csrf = page.forms().iter().find_map(|form| form.field("csrf").map(str::to_owned));
        csrf.unwrap_or_else(|| panic!("no form on {}: {}", page.path, page.text()))
    }

    /// Goes where the link with this text leads.
    pub async fn click(&self, page: &Page, text: &str) -> Page {
        let href = page.link(text);
        let own = page.path.split('?').next().unwrap_or_default();
        self.get(&if href.starts_with('?') { format!("{own}{href}") } else { href }).await
    }

    fn took(&self, path: &str, answer: Answer) -> Page {
        for (name, value) in &answer.headers {
            if name.eq_ignore_ascii_case("set-cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                let is_gone = pair.ends_with('=') || value.contains("Max-Age=0");
                *self.cookie.borrow_mut() = (!is_gone).then(|| pair.to_owned());
            }
        }
        Page { answer, path: path.to_owned() }
    }
}

/// Fields as a form sends them.
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

    /// The status, and that all of these are read on the page.
    #[track_caller]
    pub fn assert_shows(&self, texts: &[&str]) -> &Page {
        let shown = self.text();
        for text in texts {
            assert!(shown.contains(text), "{} does not say {text:?}: {shown}", self.path);
        }
        self
    }

    #[track_caller]
    pub fn assert_hides(&self, texts: &[&str]) -> &Page {
        let html = self.html();
        for text in texts {
            assert!(!html.contains(text), "{} has {text:?}: {html}", self.path);
        }
        self
    }

    /// Where it leads.
    #[track_caller]
    pub fn location(&self) -> &str {
        self.answer
            .header("location")
            .unwrap_or_else(|| panic!("{} leads nowhere: {}", self.path, self.text()))
    }

    pub fn html(&self) -> String {
        self.answer.text()
    }

    /// What is read.
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

    /// All forms, each with a whole action.
    pub fn forms(&self) -> Vec<Form> {
        let own = |form: Form| {
            if form.action.is_empty() { Form { action: self.path.clone(), ..form } } else { form }
        };
        html::forms(&self.html()).into_iter().map(own).collect()
    }

    /// The forms that change something, but for those of the menu that every page has.
    pub fn posting_forms(&self) -> Vec<Form> {
        let menu = ["/admin/sign-out/", "/admin/settings/theme/"];
        let forms = self.forms().into_iter();
        forms.filter(|form| form.method == "post" && !menu.contains(&form.action.as_str())).collect()
    }

    /// The first of them.
    #[track_caller]
    pub fn form(&self) -> Form {
        let form = self.posting_forms().into_iter().next();
        form.unwrap_or_else(|| panic!("there is no form on {}: {}", self.path, self.text()))
    }

    /// The link that some text leads to.
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
        href.unwrap_or_else(|| panic!("no link says {text:?} on {}: {}", self.path, self.text()))
    }
}
