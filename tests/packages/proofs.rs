//! Releases, built and tried out: `scripts/proofs packages`.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::geteuid;
use serde_json::Value;
use tempfile::TempDir;

use crate::house::source::root;
use crate::support::{figures, require, temporary};

/// How long trying a package may take, in seconds.
const PATIENCE: &str = "900";

/// A release: what `scripts/release` made of the commit, in a folder of its own.
struct Release {
    folder: TempDir,
    took: Duration,
}

/// The release that all proofs try.
static RELEASE: OnceLock<Release> = OnceLock::new();

impl Release {
    /// Builds a release in a new clone of the repository, in a folder with this name.
    fn build(name: &str) -> Release {
        let folder = temporary::directory();
        let clone = folder.path().join(name);
        run(Command::new("git").args(["clone", "--quiet"]).arg(root()).arg(&clone));
        let began = Instant::now();
        let out = folder.path().join("out");
        run(Command::new(clone.join("scripts/release"))
            .arg("--out")
            .arg(&out)
            .env_remove("CARGO_TARGET_DIR"));
        Release { folder, took: began.elapsed() }
    }

    fn get() -> &'static Release {
        RELEASE.get_or_init(|| Release::build("tollgate"))
    }

    /// Returns the files that people download, by name.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.folder.path().join("out")).unwrap();
        let files = entries.map(|entry| {
            let path = entry.unwrap().path();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap())
        });
        files.collect()
    }

    /// Returns the file for this machine whose name ends in this way.
    fn file(&self, end: &str) -> PathBuf {
        let names = self.files().into_keys();
        let name = names.filter(|name| name.ends_with(end)).find(|name| is_for_this_machine(name));
        self.folder.path().join("out").join(name.unwrap_or_else(|| panic!("there is no {end}")))
    }

    /// Unpacks the archive for this machine, and returns its folder.
    fn unpacked(&self) -> PathBuf {
        let archive = self.file(".tar.gz");
        let folder = self.folder.path().join("unpacked");
        std::fs::create_dir_all(&folder).unwrap();
        run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(&folder).arg("--strip-components=1"));
        folder
    }

    fn program(&self) -> PathBuf {
        self.unpacked().join("tollgate")
    }
}

fn is_for_this_machine(name: &str) -> bool {
    let names = match std::env::consts::ARCH {
        "aarch64" => ["aarch64", "arm64"],
        _ => ["x86_64", "amd64"],
    };
    names.iter().any(|machine| name.contains(machine))
}

/// Runs a command, which must succeed. Returns what it printed.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{printed}\n{said}", output.status);
    printed.into_owned()
}

/// Runs a script of this folder, and reports its figures.
fn try_out(script: &str, subject: &Path) {
    let folder = temporary::directory();
    // Free for the moment, as for all other servers of the tests.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", PATIENCE, "bash"]).arg(root().join("tests/packages").join(script));
    let printed = run(command.arg(subject).arg(folder.path()).arg(port.to_string()));
    let lines: Vec<_> =
        printed.lines().filter_map(|line| line.strip_prefix("FIGURE ")?.split_once('|')).collect();
    assert!(!lines.is_empty(), "{script} reported nothing: {printed}");
    lines.into_iter().for_each(|(what, text)| figures::report(what, text));
}

/// Returns whether this run builds releases, and may mount what they are tried in.
fn is_wanted() -> bool {
    if !require::proofs() {
        return false;
    }
    if !geteuid().is_root() {
        require::missing("root", "run `scripts/proofs packages` as root: it mounts file systems");
        return false;
    }
    true
}

#[test]
fn two_builds_of_one_commit_in_two_folders_are_equal() {
    if !is_wanted() {
        return;
    }
    let (first, second) = (Release::get(), Release::build("another-folder-with-a-longer-name"));
    let (ours, theirs) = (first.files(), second.files());
    assert!(ours.len() >= 3, "{:?}", ours.keys());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, bytes) in &ours {
        assert!(*bytes == theirs[name], "{name} differs");
    }
    let sums = String::from_utf8_lossy(&ours["SHA256SUMS"]).into_owned();
    let digests: Vec<&str> = sums.lines().map(|line| &line[..12]).collect();
    let mb = |path: PathBuf| format!("{:.1} MB", std::fs::metadata(path).unwrap().len() as f64 / 1e6);
    figures::report(
        "two builds of one commit, in two folders",
        &format!(
            "{} files, equal byte for byte (SHA-256 {}…); {} s and {} s",
            ours.len(),
            digests.join("…, "),
            first.took.as_secs(),
            second.took.as_secs()
        ),
    );
    let (program, archive) = (mb(first.program()), mb(first.file(".tar.gz")));
    figures::report("release", &format!("program {program}, archive {archive}"));
    let text = String::from_utf8_lossy(&std::fs::read(first.program()).unwrap()).into_owned();
    let folder = first.folder.path().to_str().unwrap();
    assert!(!text.contains(folder), "the program has the path of the folder in which it was built");
}

/// The list is made for the machine and the features of the package, and not for those of this
/// build.
#[test]
fn the_archive_has_the_components_of_its_program_and_their_licences() {
    if !is_wanted() {
        return;
    }
    let folder = Release::get().unpacked();
    let list: Value =
        serde_json::from_slice(&std::fs::read(folder.join("tollgate.cdx.json")).unwrap()).unwrap();
    let property = |name: &str| {
        let properties = list["metadata"]["properties"].as_array().unwrap();
        properties.iter().find(|one| one["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert!(is_for_this_machine(&property("tollgate:target")), "{}", property("tollgate:target"));
    assert_eq!(property("tollgate:features"), "pg-tls");
    assert!(list["metadata"]["timestamp"].is_string(), "{}", list["metadata"]);
    let licences = std::fs::read_to_string(folder.join("THIRD-PARTY-LICENCES")).unwrap();
    let components = list["components"].as_array().unwrap();
    for name in ["jemalloc", "libpq", "openssl", "rust-std", "sqlite"] {
        assert!(components.iter().any(|one| one["name"] == name), "{name} is not in the list");
        assert!(licences.contains(&format!("\n{name} ")), "{name} is not among the licences");
    }
}

#[test]
fn the_debian_package_is_installed_upgraded_and_purged() {
    if !is_wanted() {
        return;
    }
    if require::program("debootstrap").is_none() {
        return require::missing("debootstrap", "on Debian: apt-get install debootstrap");
    }
    try_out("debian.sh", &Release::get().file(".deb"));
}

#[test]
fn the_container_image_serves_without_an_engine() {
    if is_wanted() {
        try_out("image.sh", &Release::get().program());
    }
}
