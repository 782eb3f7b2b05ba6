//! Somebody who sits before the browser: opens pages, reads them, fills forms in and presses buttons.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::chromium::Chromium;
use crate::support::server::PASSWORD;

const PATIENCE: Duration = Duration::from_secs(20);

/// The longest picture of a page, in pixels of CSS.
const TALLEST: f64 = 6000.0;

/// What the page is looked at with: its width and height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Wide,
    Phone,
    /// What a wide page at 400 % has, and the smallest phones (WCAG 1.4.10).
    Narrow,
}

impl Screen {
    pub fn width(self) -> u32 {
        match self {
            Screen::Wide => 1280,
            Screen::Phone => 390,
            Screen::Narrow => 320,
        }
    }
}

pub struct Visitor {
    chromium: Chromium,
    origin: String,
    has_scripts: bool,
}

impl Visitor {
    /// `None`: there is no browser here.
    pub async fn arrive(at: SocketAddr, has_scripts: bool, screen: Screen) -> Option<Visitor> {
        let chromium = Chromium::start(has_scripts).await?;
        let visitor = Visitor { chromium, origin: format!("http://{at}"), has_scripts };
        visitor.look_with(screen).await;
        visitor.prefer("light").await;
        Some(visitor)
    }

    fn driver(&self) -> &WebDriver {
        self.chromium.driver()
    }

    pub fn has_scripts(&self) -> bool {
        self.has_scripts
    }

    pub async fn look_with(&self, screen: Screen) {
        let is_phone = screen != Screen::Wide;
        let size = json!({
            "width": screen.width(), "height": if is_phone { 844 } else { 800 },
            "deviceScaleFactor": if is_phone { 2 } else { 1 }, "mobile": is_phone,
        });
        self.chromium.tell("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Sets the system's colours, `light` or `dark`. Nothing moves, so that nothing is looked at half-way.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.chromium.tell("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Nothing from such addresses is loaded.
    pub async fn keep_away(&self, addresses: &str) {
        self.chromium.tell("Network.enable", json!({})).await;
        self.chromium.tell("Network.setBlockedURLs", json!({ "urls": [addresses] })).await;
    }

    /// Opens a path of the server, or a whole address.
    pub async fn open(&self, path: &str) {
        let address = if path.starts_with('/') { format!("{}{path}", self.origin) } else { path.to_owned() };
        self.driver().goto(&address).await.unwrap_or_else(|error| panic!("{path} does not open: {error}"));
    }

    pub async fn forget_cookies(&self) {
        self.chromium.tell("Network.clearBrowserCookies", json!({})).await;
    }

    pub async fn sign_in(&self, name: &str) {
        self.forget_cookies().await;
        self.open("/admin/sign-in/").await;
        self.fill(&[("username", name), ("password", PASSWORD)]).await;
        self.press("Sign in").await;
        self.sees("Recent actions").await;
    }

    /// The path and the query string of the page.
    pub async fn path(&self) -> String {
        let url = self.driver().current_url().await.unwrap();
        url.as_str().strip_prefix(&self.origin).unwrap_or(url.as_str()).to_owned()
    }

    /// What there is to read.
    pub async fn text(&self) -> String {
        let text = async { self.driver().find(By::Css("body")).await?.text().await };
        // The page may just go over into another one.
        text.await.unwrap_or_default()
    }

    /// Waits until the page says this.
    pub async fn sees(&self, what: &str) {
        let found = patiently(async || self.text().await.contains(what).then_some(())).await;
        if found.is_none() {
            panic!("{:?} is not on {}:\n{}", what, self.path().await, self.text().await);
        }
    }

    /// Opens a page again and again until it says this: lists and searches follow in the background.
    pub async fn open_until(&self, path: &str, what: &str) {
        let found = patiently(async || {
            self.open(path).await;
            self.text().await.contains(what).then_some(())
        });
        if found.await.is_none() {
            panic!("{what:?} never stands on {path}:\n{}", self.text().await);
        }
    }

    /// Waits for an element by a CSS selector, and until it is displayed.
    pub async fn element(&self, css: &str) -> WebElement {
        self.displayed(By::Css(css), css).await
    }

    async fn displayed(&self, by: By, what: &str) -> WebElement {
        let found = patiently(async || {
            for element in self.driver().find_all(by.clone()).await.unwrap_or_default() {
                if element.is_displayed().await.unwrap_or(false) {
                    return Some(element);
                }
            }
            None
        });
        match found.await {
            Some(element) => element,
            None => panic!("there is no {what} on {}:\n{}", self.path().await, self.text().await),
        }
    }

    /// Follows the first link that is called so.
    pub async fn follow(&self, label: &str) {
        let link = format!("//a[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&link), label).await;
    }

    pub async fn press(&self, label: &str) {
        let button = format!("//button[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&button), label).await;
    }

    /// Follows a link of the navigation.
    pub async fn go_to_place(&self, label: &str) {
        let link = format!("//nav[@aria-label='Panel']//a[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&link), label).await;
    }

    /// Opens or shuts a `<details>` by its summary.
    pub async fn unfold(&self, label: &str) {
        let summary = format!("//summary[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&summary), label).await;
    }

    /// Ticks the box that is called so.
    pub async fn tick(&self, label: &str) {
        let label_of = format!("//label[contains(normalize-space(), {})]", quoted(label));
        self.click(By::XPath(&label_of), label).await;
    }

    async fn click(&self, by: By, what: &str) {
        let element = self.displayed(by, what).await;
        let _ = element.scroll_into_view().await;
        element.click().await.unwrap_or_else(|error| panic!("{what} cannot be clicked: {error}"));
    }

    /// Types into fields, by their names, in place of what they hold.
    pub async fn fill(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            let field = self.element(&format!("[name='{name}']:not([type=hidden])")).await;
            field.clear().await.unwrap();
            field.send_keys(*value).await.unwrap();
        }
    }

    /// Sends keys to wherever the focus is.
    pub async fn type_keys(&self, keys: impl Into<TypingData>) {
        let focused = self.driver().active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    /// Runs a script of the test's own, which neither the content security policy nor a browser without scripts
    /// keeps away, and waits for a promise that it returns.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.driver().execute(script, arguments).await;
        answer.unwrap_or_else(|error| panic!("a script failed: {error}\n{script:.300}")).json().clone()
    }

    /// What the console has said since it was last asked.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.driver().browser_log().await.unwrap();
        entries.into_iter().map(|entry| format!("{} {}", entry.level, entry.message)).collect()
    }

    /// Takes a picture of the whole page, not only of what the screen shows.
    pub async fn picture(&self, file: &Path) {
        let metrics = self.chromium.tell("Page.getLayoutMetrics", json!({})).await;
        let number = |name: &str| metrics["cssContentSize"][name].as_f64().unwrap();
        let (width, height) = (number("width"), number("height").min(TALLEST));
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let how = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.chromium.tell("Page.captureScreenshot", how).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// Asks until there is something, at most [`PATIENCE`].
pub async fn patiently<T>(condition: impl AsyncFn() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return Some(value);
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A text in XPath, which has no escapes.
fn quoted(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}
