//! The start page, the commands on it, the documentation, and the files that they refer to.

use std::process::{Command, Stdio};

use rstest::rstest;

use crate::support::app::{GUEST, TestApp};
use crate::support::html::{copied, text};
use crate::support::http::Answer;
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::{On, TestDatabase, require};

/// Checks that a page loads only files of this server, and nothing inline.
#[track_caller]
fn assert_guarded(page: &Answer) {
    page.assert_status(200).assert_header("content-type", "text/html; charset=utf-8");
    let html = page.text();
    let scripts: Vec<&str> = html.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 1, "{html}");
    assert!(scripts[0].starts_with(" src=\"/static/admin."), "{html}");
    assert!(!html.contains("style="), "{html}");
    let policy = page.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
}

#[actix_web::test]
async fn the_start_page_offers_three_entries_and_lines_with_the_servers_own_address() {
    let flags = ["--public-url", "https://chat.example", "--site-title", "Our chats"];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let page = app.request("GET", "/").header("Host", "chat.example").send().await;
    assert_guarded(&page);
    let html = page.text();
    assert!(html.contains("<title>Our chats</title>") && html.contains("<h1>Our chats</h1>"), "{html}");
    for (label, href) in [
        ("Use it from a program", "#program"),
        ("Read the API's documentation", "/docs/api/"),
        ("Administer", "/admin/"),
    ] {
        let entry = format!("<a class=\"entry\" href=\"{href}\"><strong>{label}</strong>");
        assert!(html.replace("&#39;", "'").contains(&entry), "{entry} is not in {html}");
    }
    for line in copied(&html).iter().filter(|line| line.contains("://")) {
        assert!(line.contains("https://chat.example/"), "{line}");
    }
    let shown = text(&html);
    for line in copied(&html) {
        let words = line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(&words), "{words:?} is copied, but not shown: {shown}");
    }
    // The file that the page refers to exists and has its own type.
    let address = stylesheet(&html);
    let file = app.get(&address, GUEST).await;
    file.assert_status(200).assert_header("content-type", "text/css; charset=utf-8");
}

/// Returns the address of the stylesheet of a page.
fn stylesheet(html: &str) -> String {
    let (_, rest) = html.split_once("rel=\"stylesheet\" href=\"").expect("a stylesheet");
    rest.split('"').next().unwrap().to_owned()
}

#[actix_web::test]
async fn browsers_keep_a_file_for_good_if_its_address_has_its_digest() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let address = stylesheet(&app.get("/", GUEST).await.text());
    assert_ne!(address, "/static/tollgate.css");
    let sheet = app.get(&address, GUEST).await;
    sheet.assert_header("cache-control", "public, max-age=31536000, immutable");
    // Files that the stylesheet names have digests, too.
    let text = sheet.text();
    let urls: Vec<&str> = text.split("url(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(urls.len() >= 2, "{urls:?}");
    for url in urls {
        let file = app.get(url, GUEST).await;
        file.assert_status(200).assert_header("content-type", "image/svg+xml");
        file.assert_header("cache-control", "public, max-age=31536000, immutable");
    }
    // The addresses of old pages still work.
    let plain = app.get("/static/tollgate.css", GUEST).await;
    plain.assert_status(200).assert_header("cache-control", "public, max-age=300");
    assert_eq!(plain.text(), text);
    // The contents are not those of the digest, so nothing may keep them.
    let other = app.get("/static/tollgate.0123456789ab.css", GUEST).await;
    other.assert_status(200).assert_header("cache-control", "no-cache");
    app.get("/static/tollgate.0123.css", GUEST).await.assert_error(404, "Not found");
}

#[actix_web::test]
async fn the_start_page_links_to_the_top_up_and_escapes_its_text() {
    let page = async |flags: &[&str]| {
        let app = TestApp::spawn_with(On::Sqlite, flags).await.unwrap();
        app.request("GET", "/").send().await.text()
    };
    assert!(!page(&[]).await.contains("top up"));
    let html = page(&["--top-up", "https://shop.example/?a=1&b=\"2"]).await;
    let address = "https://shop.example/?a=1&#38;b=&#34;2";
    assert!(html.contains(&format!("<a href=\"{address}\">{address}</a>")), "{html}");
    for text in ["javascript:alert(1)", "https://shop.example or <b>ask</b>"] {
        let html = page(&["--top-up", text]).await;
        assert!(html.contains("To top up a balance:"), "{html}");
        assert!(!html.contains("<a href=\"javascript") && !html.contains("<b>"), "{html}");
        assert!(!html.contains("<a href=\"https://shop"), "{html}");
    }
}

/// The client sends the Host header, so it may contain anything.
#[actix_web::test]
async fn the_start_page_escapes_the_host() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let page = app.request("GET", "/").header("Host", "\"><img src=x>'").send().await;
    assert!(!page.text().contains("<img"), "{}", page.text());
}

#[actix_web::test]
async fn the_start_page_shows_the_operators_line_as_text() {
    let page = async |flags: &[&str]| {
        let app = TestApp::spawn_with(On::Sqlite, flags).await.unwrap();
        app.request("GET", "/").send().await.text()
    };
    assert!(!page(&[]).await.contains("class=\"notice\""));
    let html = page(&["--site-notice", "Ask <b>ada@example.org</b> & bring cake"]).await;
    assert!(html.contains("Ask &#60;b&#62;ada@example.org&#60;/b&#62; &#38; bring cake"), "{html}");
    let closed = page(&["--registration", "closed"]).await;
    assert!(closed.contains("ask the operator") && !closed.contains("/register/"), "{closed}");
}

#[rstest]
#[actix_web::test]
async fn the_start_page_says_whether_the_server_is_ready(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let page = async || text(&app.request("GET", "/").send().await.text());
    let ready = page().await;
    assert!(ready.contains("Ready") && !ready.contains("Not ready"), "{ready}");
    app.services.readiness.drain();
    let draining = page().await;
    assert!(draining.contains("Not ready: It is being stopped or restarted."), "{draining}");
}

#[actix_web::test]
async fn the_start_page_says_that_the_database_is_gone() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    app.damages_its_books();
    let elsewhere = format!("{}.moved", app.database().url());
    std::fs::rename(app.database().url(), &elsewhere).unwrap();
    // A check of the file may be a few milliseconds old.
    std::thread::sleep(std::time::Duration::from_millis(50));
    let page = app.request("GET", "/").send().await;
    std::fs::rename(&elsewhere, app.database().url()).unwrap();
    page.assert_status(200);
    assert!(text(&page.text()).contains("Not ready: Its database file was moved"), "{}", page.text());
}

/// Runs lines one after the other in one shell, and returns what each prints. The answers to
/// questions come from standard input. There is no terminal here, so that `stty` fails, which
/// changes nothing.
fn run(shell: &str, lines: &[String], answers: &str) -> Vec<String> {
    let script: String = lines.iter().map(|line| format!("{line}\nprintf '\\n--\\n'\n")).collect();
    let mut process = Command::new(shell)
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut process.stdin.take().unwrap(), answers.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let printed: Vec<String> = printed.split("\n--\n").map(|part| part.trim().to_owned()).collect();
    assert_eq!(printed.len(), lines.len() + 1, "{printed:?}: {}", String::from_utf8_lossy(&output.stderr));
    printed
}

/// Returns the shell's lines of the start page of a server.
fn shell_lines(server: &Server) -> Vec<String> {
    let page = server.client().send("GET", "/", &[], b"").unwrap();
    assert_eq!(page.status, 200, "{page:?}");
    let lines = copied(&page.text());
    let end = lines.iter().position(|line| line.contains("tollgate-python")).expect("lines for Python");
    lines[..end].to_vec()
}

#[rstest]
#[case::bash("bash")]
#[case::posix("dash")]
#[case::zsh("zsh")]
fn the_lines_of_the_start_page_work_as_pasted(#[case] shell: &str) {
    for program in [shell, "curl"] {
        if require::program(program).is_none() {
            // Not every machine has zsh, and bash is what most people have.
            return require::skipped(&format!("{program} is missing"));
        }
    }
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Server::start(&database, &[]);
    let lines = shell_lines(&server);
    assert_eq!(lines.len(), 5, "{lines:?}");
    // Characters that a shell, a URL or JSON would change.
    let password = r#"a pa$$ "phr'a\se" & 100% +1?"#;
    let printed = run(shell, &lines, &format!("ada\n{password}\n"));
    assert!(printed[0].starts_with("Username: Password (not shown):"), "{printed:?}");
    assert_eq!(printed[1], r#"{"message":"User created successfully"}"#);
    assert_eq!(printed[2], "Logged in.");
    assert_eq!(printed[3], r#"{"message":"Hello","response":"Response to Hello"}"#);
    assert_eq!(printed[4], r#"{"tokens":3900}"#);
    // A wrong password is told, and puts nothing secret on the screen.
    let without_registering = [lines[0].clone(), lines[2].clone(), lines[3].clone()];
    let printed = run(shell, &without_registering, "ada\nwrong\n");
    assert_eq!(printed[1], r#"{"error":"Invalid password"}"#);
    assert_eq!(printed[2], r#"{"error":"Unauthorized"}"#);
    server.terminate();
    server.wait(std::time::Duration::from_secs(20));
    assert_verified(&database);
}

/// The password is neither an argument of a program, which others could list, nor a part of a line
/// that a shell keeps in its history.
#[test]
fn the_lines_of_the_start_page_hand_the_password_over_by_a_pipe() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let server = Server::start(&database, &[]);
    server.register("ada");
    let lines = shell_lines(&server);
    assert!(lines.iter().all(|line| !line.contains(PASSWORD)));
    let folder = crate::support::temporary::directory();
    let log = folder.path().join("arguments");
    // A curl that notes how it was called.
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\nexec /usr/bin/env -i PATH=\"$REAL\" curl \"$@\"\n",
        log.display()
    );
    std::fs::write(folder.path().join("curl"), script).unwrap();
    std::process::Command::new("chmod").arg("755").arg(folder.path().join("curl")).status().unwrap();
    let path = std::env::var("PATH").unwrap();
    let own = format!("export REAL='{path}' PATH='{}':\"$PATH\"", folder.path().display());
    let printed = run("bash", &[own, lines[0].clone(), lines[2].clone()], &format!("ada\n{PASSWORD}\n"));
    assert_eq!(printed[2], "Logged in.", "{printed:?}");
    let arguments = std::fs::read_to_string(&log).unwrap();
    assert!(arguments.contains("username=ada") && !arguments.contains(PASSWORD), "{arguments}");
}

#[actix_web::test]
async fn the_documentation_is_served_with_the_servers_own_address() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--public-url", "https://chat.example"]).await else {
        return;
    };
    for (name, title, says) in [
        ("api", "The API", "Every path works with and without its trailing slash."),
        ("charges", "Charges", "How a message is paid for"),
        ("clients", "Client programs", "OPENAI_BASE_URL=https://chat.example/v1"),
    ] {
        for path in [format!("/docs/{name}/"), format!("/docs/{name}")] {
            let page = app.get(&path, GUEST).await;
            assert_guarded(&page);
            let html = page.text();
            assert!(html.contains(&format!("<title>{title} · Tollgate</title>")), "{html:.400}");
            let shown = text(&html);
            assert!(shown.contains(says), "{path} does not say {says:?}");
            assert!(!html.contains("http://127.0.0.1:8000"), "{path} has the address of an example");
            for markdown in ["**", "](", "```", "| --- |"] {
                assert!(!shown.contains(markdown), "{path} shows {markdown}");
            }
        }
    }
    app.get("/docs/decisions/", GUEST).await.assert_error(404, "Not found");
    app.get("/docs/none/", GUEST).await.assert_error(404, "Not found");
}
