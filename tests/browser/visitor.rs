//! A user of the browser, who opens and reads pages, fills in forms and presses buttons.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::chromium::Chromium;
use crate::support::server::PASSWORD;

const PATIENCE: Duration = Duration::from_secs(20);

/// The maximum height of a screenshot, in CSS pixels.
const TALLEST: f64 = 6000.0;

/// The size of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    Wide,
    Phone,
    /// A wide screen at a zoom of 400 %, and the smallest phones (WCAG 1.4.10).
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
    /// Starts a browser. Returns `None` if this machine has none.
    pub async fn arrive(at: SocketAddr, has_scripts: bool, screen: Screen) -> Option<Visitor> {
        let chromium = Chromium::start(has_scripts).await?;
        let visitor = Visitor { chromium, origin: format!("http://{at}"), has_scripts };
        visitor.set_screen(screen).await;
        visitor.prefer("light").await;
        Some(visitor)
    }

    fn driver(&self) -> &WebDriver {
        self.chromium.driver()
    }

    pub fn has_scripts(&self) -> bool {
        self.has_scripts
    }

    pub async fn set_screen(&self, screen: Screen) {
        let is_phone = screen != Screen::Wide;
        let size = json!({
            "width": screen.width(), "height": if is_phone { 844 } else { 800 },
            "deviceScaleFactor": if is_phone { 2 } else { 1 }, "mobile": is_phone,
        });
        self.chromium.send("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Sets the size of the screen in CSS pixels. Up to 640 it is a phone.
    pub async fn set_size(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width <= 640});
        self.chromium.send("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Makes the window so many CSS pixels wide.
    pub async fn set_width(&self, width: u32) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.chromium.send("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Sets the system's colour scheme, `light` or `dark`. Animations are off, so that no page is
    /// checked half-way through one.
    pub async fn prefer(&self, scheme: &str) {
        let features = json!([
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.chromium.send("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Stores what is downloaded in a folder.
    pub async fn keep_downloads(&self, folder: &Path) {
        let how = json!({"behavior": "allow", "downloadPath": folder});
        self.chromium.send("Browser.setDownloadBehavior", how).await;
    }

    /// Blocks requests to these addresses.
    pub async fn block(&self, addresses: &str) {
        self.chromium.send("Network.enable", json!({})).await;
        self.chromium.send("Network.setBlockedURLs", json!({ "urls": [addresses] })).await;
    }

    /// Opens a path of the server, or a whole URL.
    pub async fn open(&self, path: &str) {
        let address = if path.starts_with('/') { format!("{}{path}", self.origin) } else { path.to_owned() };
        self.driver().goto(&address).await.unwrap_or_else(|error| panic!("{path} does not open: {error}"));
    }

    pub async fn forget_cookies(&self) {
        self.chromium.send("Network.clearBrowserCookies", json!({})).await;
    }

    pub async fn sign_in(&self, name: &str) {
        self.sign_in_with(name, PASSWORD).await;
    }

    pub async fn sign_in_with(&self, name: &str, password: &str) {
        self.forget_cookies().await;
        self.open("/admin/sign-in/").await;
        self.fill(&[("username", name), ("password", password)]).await;
        self.press("Sign in").await;
        self.sees("Recent actions").await;
    }

    /// Returns the path and the query string of the page.
    pub async fn path(&self) -> String {
        let url = self.driver().current_url().await.unwrap();
        url.as_str().strip_prefix(&self.origin).unwrap_or(url.as_str()).to_owned()
    }

    /// Returns the text that the page shows. The browser itself knows it. WebDriver's own command
    /// asks for the style of each element, which takes seconds for a long list.
    pub async fn text(&self) -> String {
        let text = self.driver().execute("return document.body?.innerText ?? ''", vec![]).await;
        // The browser may be on its way to another page.
        text.ok().and_then(|text| text.json().as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Waits until the page shows this text.
    pub async fn sees(&self, what: &str) {
        let found = patiently(async || self.text().await.contains(what).then_some(())).await;
        if found.is_none() {
            panic!("{:?} is not on {}:\n{}", what, self.path().await, self.text().await);
        }
    }

    /// Opens a page repeatedly until it shows this text: lists and searches are updated in the
    /// background.
    pub async fn open_until(&self, path: &str, what: &str) {
        let found = patiently(async || {
            self.open(path).await;
            self.text().await.contains(what).then_some(())
        });
        if found.await.is_none() {
            panic!("{what:?} never appears on {path}:\n{}", self.text().await);
        }
    }

    /// Waits until an element with this CSS selector is displayed, and returns it.
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

    /// Follows the first link with this text.
    pub async fn follow(&self, label: &str) {
        let link = format!("//a[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&link), label).await;
    }

    /// Follows a preset above a list. Its link also has a count.
    pub async fn follow_tab(&self, label: &str) {
        let link = format!("//nav[@class='tabs']//a[starts-with(normalize-space(), {})]", quoted(label));
        self.click(By::XPath(&link), label).await;
    }

    pub async fn press(&self, label: &str) {
        let button = format!("//button[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&button), label).await;
    }

    /// Follows a link of the menu. On a phone some of them are behind *More*.
    pub async fn go_to_place(&self, label: &str) {
        let link = format!("//nav//a[normalize-space()={}]", quoted(label));
        let menu = self.driver().find(By::Css("nav.places")).await.unwrap();
        let is_behind_more =
            !menu.is_displayed().await.unwrap() && !["Home", "Users", "Chats", "Ledger"].contains(&label);
        if is_behind_more {
            self.element(".more-places > summary").await.click().await.unwrap();
        }
        self.click(By::XPath(&link), label).await;
    }

    /// Shows pages as paper does, on a system with dark colours.
    pub async fn use_paper(&self) {
        let features = json!([{"name": "prefers-color-scheme", "value": "dark"}]);
        let media = json!({"media": "print", "features": features});
        self.chromium.send("Emulation.setEmulatedMedia", media).await;
    }

    /// Shows pages on the screen again, after [`Visitor::use_paper`].
    pub async fn use_screen(&self) {
        self.chromium.send("Emulation.setEmulatedMedia", json!({"media": ""})).await;
        self.prefer("light").await;
    }

    /// Opens or closes a `<details>` by its summary.
    pub async fn unfold(&self, label: &str) {
        let summary = format!("//summary[normalize-space()={}]", quoted(label));
        self.click(By::XPath(&summary), label).await;
    }

    /// Ticks the checkbox with this label.
    pub async fn tick(&self, label: &str) {
        let label_of = format!("//label[contains(normalize-space(), {})]", quoted(label));
        self.click(By::XPath(&label_of), label).await;
    }

    async fn click(&self, by: By, what: &str) {
        let element = self.displayed(by, what).await;
        let _ = element.scroll_into_view().await;
        element.click().await.unwrap_or_else(|error| panic!("{what} cannot be clicked: {error}"));
    }

    /// Replaces the values of fields, by name.
    pub async fn fill(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            let field = self.element(&format!("[name='{name}']:not([type=hidden])")).await;
            field.clear().await.unwrap();
            field.send_keys(*value).await.unwrap();
        }
    }

    /// Sends keys to the focused element.
    pub async fn type_keys(&self, keys: impl Into<TypingData>) {
        let focused = self.driver().active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    /// Runs a script of the test, which neither the content security policy nor a browser without
    /// scripts blocks. If it returns a promise, waits for the value.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        let answer = self.driver().execute(script, arguments).await;
        answer.unwrap_or_else(|error| panic!("a script failed: {error}\n{script:.300}")).json().clone()
    }

    /// Returns the console's messages since the last call.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.driver().browser_log().await.unwrap();
        entries.into_iter().map(|entry| format!("{} {}", entry.level, entry.message)).collect()
    }

    /// Takes a screenshot of the whole page, not only of what the screen shows.
    pub async fn picture(&self, file: &Path) {
        let metrics = self.chromium.send("Page.getLayoutMetrics", json!({})).await;
        let number = |name: &str| metrics["cssContentSize"][name].as_f64().unwrap();
        let (width, height) = (number("width"), number("height").min(TALLEST));
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let how = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let picture = self.chromium.send("Page.captureScreenshot", how).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// Polls until there is a value, for at most [`PATIENCE`].
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

/// Quotes a text for XPath, which has no escapes.
fn quoted(text: &str) -> String {
    if text.contains('\'') { format!("\"{text}\"") } else { format!("'{text}'") }
}
