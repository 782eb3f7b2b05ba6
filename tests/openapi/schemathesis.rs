//! schemathesis makes thousands of requests of the document, right and wrong ones, and compares the
//! answers with it. It and a validator of such documents come from PyPI (`install.sh`).

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, figures, require, temporary};

/// The examples of each request beside those that it always makes, where the run must be short.
const FEW_EXAMPLES: &str = "15";

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi").join(file)
}

/// Returns the folder of the programs, which are installed if needed. `None` outside of the long
/// tests, or if this machine cannot install them, which is reported.
fn installed() -> Option<PathBuf> {
    if !require::long() {
        return None;
    }
    let mut install = Command::new("timeout");
    install.args(["--kill-after=5", "300", "bash"]).arg(here("install.sh"));
    let output = install.stdin(Stdio::null()).output().expect("coreutils has timeout");
    if output.status.success() {
        return Some(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    require::missing("what `tests/openapi/install.sh` needs", &why);
    None
}

/// A run of a program in a folder of its own.
struct Run<'a> {
    place: &'a Path,
    folder: &'a Path,
    server: &'a str,
}

impl Run<'_> {
    /// Runs a program, which must succeed. Returns what it prints.
    #[track_caller]
    fn program(&self, name: &str, arguments: &[&str]) -> String {
        let output = Command::new("timeout")
            .args(["--kill-after=5", "1500"])
            .arg(self.place.join("bin").join(name))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.folder)
            .env("LANG", "C.UTF-8")
            .env("PYTHONPATH", here(""))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("SCHEMATHESIS_HOOKS", "hooks")
            .env("TOLLGATE_URL", self.server)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .output()
            .expect("coreutils has timeout");
        let (printed, said) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{name}: {}\n{printed}\n{said}", output.status);
        printed.into_owned()
    }
}

/// Returns the end of what schemathesis prints: what it did, and what it found.
fn summary(printed: &str) -> &str {
    let start = printed.find("= SUMMARY =").expect("schemathesis prints a summary");
    let line = printed[..start].rfind('\n').map_or(0, |end| end + 1);
    printed[line..].trim()
}

/// Returns the line below a heading of the summary.
fn below<'a>(summary: &'a str, heading: &str) -> &'a str {
    let mut lines = summary.lines().skip_while(|line| !line.trim().starts_with(heading));
    lines.nth(1).map(str::trim).unwrap_or_else(|| panic!("nothing is below {heading:?}:\n{summary}"))
}

/// Keeps the summary for the documents (`scripts/proofs` sets the variable).
fn keep(summary: &str) {
    if let Some(file) = std::env::var_os("TOLLGATE_TEST_SUMMARY") {
        std::fs::write(file, summary).expect("cannot write the summary");
    }
}

#[test]
fn schemathesis_finds_nothing_on_a_running_server() {
    let Some(place) = installed() else { return };
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    // Nobody runs out of tokens, and there is a contact to see.
    let flags = ["--opening-tokens", "1000000000", "--security-contact", "security@chat.example"];
    let mut server = Server::start(&database, &flags);
    let (folder, url) = (temporary::directory(), format!("http://{}", server.address()));
    let run = Run { place: &place, folder: folder.path(), server: &url };

    let document = server.client().send("GET", "/openapi.json", &[], b"").unwrap();
    std::fs::write(folder.path().join("openapi.json"), &document.body).unwrap();
    run.program("openapi-spec-validator", &["openapi.json"]);

    let config = here("schemathesis.toml");
    let location = format!("{url}/openapi.json");
    let mut arguments = vec!["--no-color", "--config-file", config.to_str().unwrap(), "run", &location];
    if !require::proofs() {
        arguments.extend(["--max-examples", FEW_EXAMPLES]);
    }
    let printed = run.program("schemathesis", &arguments);
    let summary = summary(&printed);
    println!("{summary}");
    assert!(!summary.contains("Failures:") && !summary.contains("Errors:"), "{printed}");
    keep(summary);
    let tested = below(summary, "Selected:").trim_start_matches("Tested: ");
    let cases = below(summary, "Test cases:");
    figures::report("schemathesis on the document of the API", &format!("{tested} operations; {cases}"));

    // Whatever was sent, the books are sound, and the server stops as it should.
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success(), "{}", server.log());
    drop(server);
    assert_verified(&database);
}

#[test]
fn the_parts_of_a_summary_are_found() {
    let printed = "x\n===== SUMMARY =====\n\nAPI Operations:\n  Selected: 2/2\n  Tested: 2\n\n\
                   Test cases:\n  29 generated, 29 passed\n\n===== No issues found =====\n";
    let summary = summary(printed);
    assert!(summary.starts_with("===== SUMMARY"), "{summary}");
    assert_eq!(below(summary, "Selected:"), "Tested: 2");
    assert_eq!(below(summary, "Test cases:"), "29 generated, 29 passed");
}
