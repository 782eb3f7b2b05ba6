//! A headless Chromium and its chromedriver. Both end when the value is dropped, or with the test
//! process.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::support::http::Client;
use crate::support::{keeper, require, temporary, tls, wait};

const REMEDY: &str = "on Debian: apt-get install chromium chromium-driver fonts-dejavu-core";

/// Chromium's value for blocking scripts by a content setting, as users may.
const BLOCKED: u8 = 2;

pub struct Chromium {
    driver: Option<WebDriver>,
    browser_pid: Option<u32>,
    chromedriver: Child,
    port: u16,
    /// What the browser and its driver write: the profile, sockets, crash reports.
    _directory: TempDir,
}

impl Chromium {
    /// Starts both. Returns `None` if this machine has no Chromium, after reporting that it is
    /// missing.
    pub async fn start(with_scripts: bool) -> Option<Chromium> {
        tls::set_up();
        let (Some(browser), Some(program)) = (browser_program(), require::program("chromedriver")) else {
            require::missing("Chromium or its chromedriver", REMEDY);
            return None;
        };
        let directory = temporary::directory();
        let output = directory.path().join("chromedriver.log");
        let chromedriver = Command::new(program)
            .arg("--port=0")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory.path())
            .env("TMPDIR", directory.path())
            .stdin(Stdio::null())
            .stdout(File::create(&output).unwrap())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("cannot run chromedriver");
        keeper::watch(chromedriver.id(), "KILL");
        let port = wait::until("chromedriver's start", Duration::from_secs(30), || {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            let port = said.split("successfully on port ").nth(1)?.split('.').next()?.parse().ok();
            said.ends_with('\n').then_some(port).flatten()
        });
        let mut chromium =
            Chromium { driver: None, browser_pid: None, chromedriver, port, _directory: directory };
        let capabilities = capabilities(&browser, chromium._directory.path(), with_scripts);
        // The driver's HTTP client needs a default crypto provider, and nothing in this process
        // installs one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), capabilities).await.unwrap();
        let pid = driver.capabilities().get("goog:processID").and_then(Value::as_u64);
        chromium.browser_pid = pid.and_then(|pid| u32::try_from(pid).ok());
        if let Some(pid) = chromium.browser_pid {
            keeper::watch(pid, "KILL");
        }
        chromium.driver = Some(driver);
        Some(chromium)
    }

    pub fn driver(&self) -> &WebDriver {
        self.driver.as_ref().expect("the browser runs until it is dropped")
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub async fn send(&self, command: &str, parameters: Value) -> Value {
        let answer = self.driver().cdp().send_raw(command, parameters).await;
        answer.unwrap_or_else(|error| panic!("{command} failed: {error}"))
    }
}

impl Drop for Chromium {
    /// Chromedriver ends the browser, and then itself.
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take() {
            let _ = driver.leak();
        }
        let _ = Client::new(([127, 0, 0, 1], self.port).into()).send("GET", "/shutdown", &[], b"");
        let process = &mut self.chromedriver;
        let ended = (0..1000).any(|_| {
            let has_ended = !matches!(process.try_wait(), Ok(None));
            if !has_ended {
                std::thread::sleep(Duration::from_millis(10));
            }
            has_ended
        });
        if !ended {
            let _ = process.kill();
            let _ = process.wait();
        }
        keeper::forget(process.id());
        self.browser_pid.into_iter().for_each(keeper::forget);
    }
}

fn browser_program() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(require::program)
}

fn capabilities(browser: &std::path::Path, home: &std::path::Path, with_scripts: bool) -> Capabilities {
    let profile = format!("--user-data-dir={}", home.join("profile").display());
    // Without the sandbox, which does not work for root or in containers. The browser opens only
    // our own pages.
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
        "--lang=en-GB",
        &profile,
    ];
    let mut preferences = json!({"credentials_enable_service": false});
    if !with_scripts {
        preferences["profile.managed_default_content_settings.javascript"] = json!(BLOCKED);
    }
    let capabilities = json!({
        "browserName": "chrome",
        "goog:chromeOptions": {"binary": browser, "args": arguments, "prefs": preferences},
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"script": 60_000, "pageLoad": 60_000, "implicit": 0},
    });
    serde_json::from_value(capabilities).expect("capabilities are an object")
}
