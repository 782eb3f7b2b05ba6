//! `scripts/sbom` writes what is really in the binary, in the form of CycloneDX, and all licences.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde_json::Value;

use crate::house::source::root;
use crate::support::{require, temporary};

/// What the script writes for this build: its features are the default ones.
struct Written {
    list: Value,
    list_text: String,
    licences: String,
}

/// Runs the script. `epoch` is its `SOURCE_DATE_EPOCH`.
fn run(folder: &Path, epoch: Option<&str>) -> Written {
    let mut script = Command::new("python3");
    script.arg(root().join("scripts/sbom")).arg(folder).env_remove("SOURCE_DATE_EPOCH");
    let script = script.envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
    let output = script.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let list_text = read("tollgate.cdx.json");
    Written {
        list: serde_json::from_str(&list_text).unwrap(),
        list_text,
        licences: read("THIRD-PARTY-LICENCES"),
    }
}

/// What the script writes. `None` if it cannot run here.
fn written() -> Option<&'static Written> {
    static WRITTEN: LazyLock<Written> = LazyLock::new(|| run(temporary::directory().path(), None));
    if require::program("python3").is_none() {
        require::missing("python3", "on Debian: apt-get install python3");
        return None;
    }
    Some(&WRITTEN)
}

impl Written {
    fn components(&self) -> &Vec<Value> {
        self.list["components"].as_array().unwrap()
    }

    /// Returns the components that are in the binary, as Cargo names the folders of crates.
    fn linked(&self) -> BTreeSet<String> {
        let linked = self.components().iter().filter(|one| one["scope"] == "required");
        linked.map(|one| format!("{}-{}", text(&one["name"]), text(&one["version"]))).collect()
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text"))
}

/// Returns the folders of the crates whose sources the binary names, in the texts of panics.
fn folders_in_the_binary() -> BTreeSet<String> {
    let pattern = "/registry/src/[A-Za-z0-9._-]+/[A-Za-z0-9._+-]+/";
    let found = Command::new("grep")
        .args(["-aohE", pattern, env!("CARGO_BIN_EXE_tollgate")])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    found.lines().filter_map(|path| Some(path.trim_end_matches('/').rsplit_once('/')?.1.to_owned())).collect()
}

/// Returns the crates that a build reaches over these kinds of edges, as Cargo names their folders.
fn crates_of(edges: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "-e", edges, "--prefix", "none", "--format", "{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates = tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{}-{}", words.next()?, words.next()?.strip_prefix('v')?))
    });
    crates.collect()
}

/// Cargo builds the program of a test run with the features that the tests' crates need. These
/// bring in a few crates of their own, which a build without tests does not have.
#[test]
fn every_crate_that_the_binary_names_is_a_component_of_it() {
    let Some(written) = written() else { return };
    let (linked, named) = (written.linked(), folders_in_the_binary());
    assert!(named.len() > 50, "the binary names only {named:?}");
    let (own, with_tests) = (crates_of("normal"), crates_of("normal,dev"));
    let of_tests: BTreeSet<_> = with_tests.difference(&own).collect();
    let missing: Vec<_> = named.difference(&linked).filter(|name| !of_tests.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?} are in the binary, but not in the list");
}

/// Returns the checksum of each crate in Cargo.lock that comes from a registry.
fn locked() -> BTreeMap<(String, String), String> {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let crates = lock.split("[[package]]").filter_map(|block| {
        let field = |name: &str| {
            let start = format!("{name} = \"");
            let line = block.lines().find_map(|line| line.strip_prefix(&start))?;
            Some(line.trim_end_matches('"').to_owned())
        };
        Some(((field("name")?, field("version")?), field("checksum")?))
    });
    crates.collect()
}

/// Crates of tests and benches are not in the list, and so is nothing that Cargo did not lock.
#[test]
fn the_crates_are_those_of_cargo_lock_without_those_of_the_tests() {
    let Some(written) = written() else { return };
    let locked = locked();
    let crates = written.components().iter().filter(|one| text(&one["purl"]).starts_with("pkg:cargo/"));
    let mut names = BTreeSet::new();
    for one in crates {
        let (name, version) = (text(&one["name"]).to_owned(), text(&one["version"]).to_owned());
        let hash = &one["hashes"][0];
        assert_eq!(hash["alg"], "SHA-256");
        let checksum = locked.get(&(name.clone(), version)).unwrap_or_else(|| panic!("{name} is not locked"));
        assert_eq!(text(&hash["content"]), checksum, "{name}");
        names.insert(name);
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("\n[dependencies]\n").unwrap();
    let dependencies = dependencies.split("\n\n").next().unwrap();
    let is_linked = |line: &&str| !line.starts_with('#') && !line.contains("optional = true");
    for line in dependencies.lines().filter(is_linked) {
        let name = line.split(' ').next().unwrap();
        assert!(names.contains(name), "{name} is not in the list");
    }
    for name in ["jsonschema", "openssl-sys", "proptest", "rcgen", "rstest", "thirtyfour", "yaml-rust2"] {
        assert!(!names.contains(name), "{name} is not in the binary, but in the list");
    }
}

#[test]
fn the_list_has_what_cyclonedx_requires() {
    let Some(Written { list, .. }) = written() else { return };
    assert_eq!(list["bomFormat"], "CycloneDX");
    assert_eq!(list["specVersion"], "1.6");
    assert_eq!(list["version"], 1);
    let serial = text(&list["serialNumber"]).strip_prefix("urn:uuid:").unwrap();
    let lengths: Vec<usize> = serial.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12], "{serial}");
    assert!(serial.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()), "{serial}");
    let own = &list["metadata"]["component"];
    assert_eq!((text(&own["name"]), text(&own["version"])), ("tollgate", env!("CARGO_PKG_VERSION")));
    assert!(list["metadata"]["timestamp"].is_null());
    let mut references = BTreeSet::from([text(&own["bom-ref"])]);
    for one in list["components"].as_array().unwrap() {
        assert!(["library", "data"].contains(&text(&one["type"])), "{one}");
        assert!(["required", "excluded"].contains(&text(&one["scope"])), "{one}");
        for field in ["name", "version"] {
            assert!(!text(&one[field]).is_empty(), "{one}");
        }
        assert!(text(&one["purl"]).starts_with("pkg:") && text(&one["purl"]).contains('@'), "{one}");
        let licences = one["licenses"].as_array().unwrap();
        assert!(licences.len() == 1 && !text(&licences[0]["expression"]).contains('/'), "{one}");
        assert!(references.insert(text(&one["bom-ref"])), "{one} is there twice");
    }
    assert!(references.len() > 150, "only {} components", references.len());
    let dependencies = list["dependencies"].as_array().unwrap();
    let described: BTreeSet<&str> = dependencies.iter().map(|one| text(&one["ref"])).collect();
    assert_eq!(described, references);
}

#[test]
fn every_component_is_reached_from_tollgate() {
    let Some(Written { list, .. }) = written() else { return };
    let dependencies = list["dependencies"].as_array().unwrap();
    let of = |one: &Value| -> Vec<String> {
        one["dependsOn"].as_array().unwrap().iter().map(|on| text(on).to_owned()).collect()
    };
    let edges: BTreeMap<&str, Vec<String>> =
        dependencies.iter().map(|one| (text(&one["ref"]), of(one))).collect();
    let (mut reached, mut way) = (BTreeSet::new(), vec!["tollgate".to_owned()]);
    while let Some(reference) = way.pop() {
        way.extend(edges[reference.as_str()].iter().filter(|next| !reached.contains(*next)).cloned());
        reached.insert(reference);
    }
    let all: BTreeSet<String> = edges.keys().map(|reference| (*reference).to_owned()).collect();
    assert_eq!(reached, all);
}

/// Most holes of programs like this one are in the C code that crates bring along.
#[test]
fn the_c_libraries_are_components_with_the_versions_that_run() {
    let Some(written) = written() else { return };
    let found = |name: &str| {
        let found = written.components().iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name} is not in the list"))
    };
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    let sqlite: String = diesel::select(sql::<Text>("sqlite_version()")).get_result(&mut connection).unwrap();
    assert_eq!(text(&found("sqlite")["version"]), sqlite);
    for (name, product) in
        [("sqlite", "sqlite:sqlite"), ("libpq", "postgresql:postgresql"), ("jemalloc", "jemalloc:jemalloc")]
    {
        let (cpe, version) = (text(&found(name)["cpe"]), text(&found(name)["version"]));
        assert!(cpe.starts_with(&format!("cpe:2.3:a:{product}:{version}:")), "{cpe}");
        assert!(version.starts_with(|first: char| first.is_ascii_digit()), "{version}");
    }
    for name in ["rust-std", "django-common-passwords"] {
        assert_eq!(found(name)["scope"], "required");
    }
    // Without the feature pg-tls.
    assert!(written.components().iter().all(|one| one["name"] != "openssl"));
}

#[test]
fn the_same_sources_give_the_same_bytes_and_the_time_is_the_builds() {
    let Some(written) = written() else { return };
    let folder = temporary::directory();
    let again = run(folder.path(), None);
    assert!(again.list_text == written.list_text && again.licences == written.licences);
    let dated = run(folder.path(), Some("1796169600"));
    assert_eq!(dated.list["metadata"]["timestamp"], "2026-12-02T00:00:00Z");
    assert!(dated.licences == written.licences);
}

#[test]
fn every_component_has_the_text_of_its_licence() {
    let Some(written) = written() else { return };
    let rule = "=".repeat(80);
    let (index, texts) = written.licences.split_once(&format!("\n{rule}\n")).unwrap();
    let parts: Vec<&str> = texts.split(&format!("\n{rule}\n")).collect();
    // The heads and the texts alternate.
    let bodies: BTreeMap<&str, &str> =
        parts.chunks(2).map(|part| (part[0].split(':').next().unwrap(), part[1])).collect();
    for one in written.components() {
        let (name, version) = (text(&one["name"]), text(&one["version"]));
        let start = format!("\n{name} {version}: {} (", text(&one["licenses"][0]["expression"]));
        let (_, rest) = index.split_once(&start).unwrap_or_else(|| panic!("no line begins with {start:?}"));
        let numbers = rest.split(')').next().unwrap().split(", ");
        let own: Vec<&str> = numbers.filter_map(|number| bodies.get(number).copied()).collect();
        // A crate may also have a note of one line.
        assert!(own.iter().any(|body| body.trim().len() > 200), "{name} has no text of a licence: {own:?}");
    }
    for words in ["May you do good and not evil", "PostgreSQL Global Development Group", "Jason Evans"] {
        assert!(texts.contains(words), "{words:?} is in no licence");
    }
}
