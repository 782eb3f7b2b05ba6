//! Signs in, and times each page from the request to the last byte of the response.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use crate::Result;
use crate::http::{Connection, Response, address};
use crate::pages::{Page, pages};
use crate::shape::Shape;

pub const USERNAME: &str = "panelbench";
const PASSWORD: &str = "seven brown otters at noon";

const REPETITIONS: usize = 7;
/// The panel's notice on a page whose search ended at the work limit.
const PART: &str = "Only part of the list was searched";

/// Query strings of lists of users. All matching users are selected for a bulk adjustment.
const CHOSEN: [&str; 5] = ["", "balance=low", "active=no&sort=name", "q=anna", "q=wwwxyz"];

struct Browser {
    connection: Connection,
    cookie: String,
}

struct Timed {
    best: f64,
    median: f64,
    worst: f64,
    body: String,
}

pub fn run(url: &str, pid: &str, shape: &Shape, file: &str) -> Result<()> {
    let mut browser = Browser { connection: Connection::open(address(url)?)?, cookie: String::new() };
    browser.sign_in()?;
    let before = memory(pid)?;
    let mut lines = String::new();
    for page in pages(shape) {
        let timed = browser.time(&page.path)?;
        write_line(&mut lines, &page, &timed)?;
        // The pages that this one links to must cost no more than itself.
        for (text, label) in [("rel=\"next\"", "next page"), ("Look further", "looked further")] {
            if let Some(path) = page.leads_on.then(|| link(&timed.body, &page.path, text)).flatten() {
                let next = Page { what: format!("{}, {label}", page.what), path, ..page.clone() };
                write_line(&mut lines, &next, &browser.time(&next.path)?)?;
            }
        }
    }
    let after = memory(pid)?;
    for list in CHOSEN {
        let page = Page {
            group: "Selecting all that match, with the preview of an adjustment",
            what: if list.is_empty() { "every user".to_owned() } else { list.to_owned() },
            path: "/admin/users/selected/".to_owned(),
            leads_on: false,
        };
        write_line(&mut lines, &page, &browser.time_choice(list)?)?;
    }
    writeln!(lines, "memory\t\t\t{before:.1}\t{after:.1}\t{:.1}\t", memory(pid)?)?;
    fs::write(file, lines)?;
    Ok(())
}

fn write_line(lines: &mut String, page: &Page, timed: &Timed) -> Result<()> {
    let part = if timed.body.contains(PART) { "part" } else { "" };
    let Page { group, what, path, .. } = page;
    let Timed { best, median, worst, .. } = timed;
    let line = format!("{group}\t{what}\t{path}\t{best:.1}\t{median:.1}\t{worst:.1}\t{part}");
    eprintln!("{}", line.replace('\t', "  "));
    writeln!(lines, "{line}")?;
    Ok(())
}

/// Returns the target of the first link to the same list whose line contains `text`.
fn link(body: &str, path: &str, text: &str) -> Option<String> {
    let line = body.lines().find(|line| line.contains(text) && line.contains("href=\"?"))?;
    let start = if text.starts_with("rel") { line.find(text)? } else { 0 };
    let href =
        line[start..].split_once("href=\"")?.1.split_once('"')?.0.replace("&amp;", "&").replace("&#38;", "&");
    Some(format!("{}{href}", path.split('?').next()?))
}

/// Returns the server's resident memory, in MB.
fn memory(pid: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}

impl Browser {
    fn request(&mut self, method: &str, path: &str, body: &str) -> Result<Response<'_>> {
        let form = "Origin: http://localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
        let form =
            if body.is_empty() { String::new() } else { format!("{form}Content-Length: {}\r\n", body.len()) };
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n{form}\r\n", self.cookie);
        Ok(self.connection.send(format!("{head}{body}").as_bytes())?)
    }

    fn sign_in(&mut self) -> Result<()> {
        let answer = self.request("GET", "/admin/sign-in/", "")?;
        let page = String::from_utf8_lossy(answer.body).into_owned();
        let cookie = answer.cookie().ok_or("the sign-in page sets no cookie")?;
        let field = page.split_once("name=\"csrf\" value=\"").ok_or("the form has no csrf token")?.1;
        let csrf = field.split('"').next().unwrap_or_default();
        self.cookie = cookie;
        let password = PASSWORD.replace(' ', "+");
        let answer = self.request(
            "POST",
            "/admin/sign-in/",
            &format!("csrf={csrf}&username={USERNAME}&password={password}"),
        )?;
        let (status, cookie) = (answer.status, answer.cookie());
        self.cookie =
            cookie.filter(|_| status == 303).ok_or_else(|| format!("signing in returned {status}"))?;
        Ok(())
    }

    /// Requests a page once to warm up, then times it several times.
    fn time(&mut self, path: &str) -> Result<Timed> {
        self.time_request("GET", path, "")
    }

    /// Times the selection of all users that match, up to the page that asks what to do with them.
    fn time_choice(&mut self, list: &str) -> Result<Timed> {
        let page = self.request("GET", "/admin/settings/", "")?;
        let page = String::from_utf8_lossy(page.body).into_owned();
        let field = page.split_once("name=\"csrf\" value=\"").ok_or("the form has no csrf token")?.1;
        let csrf = field.split('"').next().unwrap_or_default();
        let list = list.replace('=', "%3D").replace('&', "%26");
        let body = format!("csrf={csrf}&list={list}&all=1&action=adjust&amount=-900");
        self.time_request("POST", "/admin/users/selected/", &body)
    }

    fn time_request(&mut self, method: &str, path: &str, body: &str) -> Result<Timed> {
        let mut times = Vec::new();
        let mut text = String::new();
        for _ in 0..=REPETITIONS {
            let started = Instant::now();
            let answer = self.request(method, path, body)?;
            times.push(started.elapsed().as_secs_f64() * 1000.0);
            // A selection may also be too large (413) or empty (400).
            if answer.status != 200 && (method == "GET" || ![303, 400, 413].contains(&answer.status)) {
                return Err(format!("{path} returned {}", answer.status).into());
            }
            text = String::from_utf8_lossy(answer.body).into_owned();
        }
        times.remove(0);
        times.sort_by(f64::total_cmp);
        Ok(Timed {
            best: times[0],
            median: times[REPETITIONS / 2],
            worst: times[REPETITIONS - 1],
            body: text,
        })
    }
}
