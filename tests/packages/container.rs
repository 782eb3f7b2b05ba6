//! The container image, and the file for Docker Compose.

use std::collections::BTreeSet;

use yaml_rust2::{Yaml, YamlLoader};

use super::{read, variables};
use crate::house::source::{below, root};

/// Returns the instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    let text = read("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// Returns the instructions of the last stage.
fn last_stage() -> Vec<String> {
    let instructions = instructions();
    let start = instructions.iter().rposition(|line| line.starts_with("FROM ")).expect("a stage");
    instructions[start..].to_vec()
}

/// Returns the argument of an instruction, which must be there once.
#[track_caller]
fn argument(stage: &[String], instruction: &str) -> String {
    let prefix = format!("{instruction} ");
    let found: Vec<&str> = stage.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
    let [argument] = found[..] else { panic!("{instruction} must be there once: {found:?}") };
    argument.to_owned()
}

/// Returns whether an image is named by its digest, or by a whole version.
fn is_pinned(image: &str) -> bool {
    let version = image.rsplit_once(':').map(|(_, tag)| tag.split('-').next().unwrap_or_default());
    let numbers = |version: &str| version.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
    image.contains("@sha256:")
        || version.is_some_and(|version| version.contains('.') && numbers(version) >= 2)
}

#[test]
fn images_without_a_whole_version_are_found() {
    for image in ["rust:1.95.0-bookworm", "postgres:17.6-bookworm", "a/b@sha256:00"] {
        assert!(is_pinned(image), "{image}");
    }
    for image in ["rust", "rust:latest", "rust:1-bookworm", "postgres:17", "registry:5000/rust"] {
        assert!(!is_pinned(image), "{image}");
    }
}

#[test]
fn the_image_has_the_program_alone_and_runs_as_a_user() {
    let stage = last_stage();
    assert_eq!(stage[0], "FROM scratch");
    assert_eq!(argument(&stage, "ENTRYPOINT"), "[\"/usr/bin/tollgate\"]");
    let user = argument(&stage, "USER");
    assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{user}");
    assert!(read("packaging/image-tree").contains(&format!("\nid={}\n", user.split(':').next().unwrap())));
    let check = argument(&stage, "HEALTHCHECK");
    assert!(check.ends_with("CMD [\"/usr/bin/tollgate\", \"health\"]"), "{check}");
    // The database is where the volume is.
    assert_eq!(argument(&stage, "VOLUME"), argument(&stage, "WORKDIR"));
    let variables = variables();
    for assignment in argument(&stage, "ENV").split(' ') {
        let name = assignment.split('=').next().unwrap();
        assert!(variables.contains(name), "{name} is not a setting");
    }
}

#[test]
fn the_image_is_built_with_a_pinned_rust_and_the_locked_versions() {
    let instructions = instructions();
    for image in instructions.iter().filter_map(|line| line.strip_prefix("FROM ")) {
        let image = image.split(' ').next().unwrap();
        assert!(image == "scratch" || is_pinned(image), "{image}");
    }
    let manifest = read("Cargo.toml");
    let least = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")).unwrap();
    assert!(
        instructions[0].starts_with(&format!("FROM rust:{}.", least.trim_end_matches('"'))),
        "{instructions:?}"
    );
    let build = "RUN cargo build --release --locked --features pg-tls";
    assert!(instructions.iter().any(|line| line == build), "{instructions:?}");
    let lays_out = instructions.iter().filter(|line| line.starts_with("RUN packaging/image-tree "));
    assert_eq!(lays_out.count(), 1, "tests/packages/image.sh tries what this script makes");
}

/// Folders that are left out of the build would be missed only when somebody builds an image.
#[test]
fn the_image_is_built_from_all_that_the_build_reads() {
    let ignored = read(".dockerignore");
    let kept: BTreeSet<&str> = ignored.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let mut needed: BTreeSet<String> = [
        ".cargo",
        "Cargo.toml",
        "Cargo.lock",
        "LICENSE",
        "migrations",
        "packaging",
        "scripts/sbom",
        "src",
        "static",
        "templates",
    ]
    .map(str::to_owned)
    .into();
    for source in below("src") {
        for macro_name in ["include_str!(\"", "include_bytes!(\""] {
            for rest in source.code.split(macro_name).skip(1) {
                let path = rest.split('"').next().unwrap();
                let outside = path.trim_start_matches("../");
                let folder = outside.split('/').next().unwrap();
                // Other paths are beside the source.
                if path.starts_with("../") && root().join(folder).exists() {
                    needed.insert(folder.to_owned());
                }
            }
        }
    }
    assert!(needed.contains("docs") && needed.contains("vendor"), "{needed:?}");
    let missing: Vec<_> = needed.iter().filter(|path| !kept.contains(path.as_str())).collect();
    assert!(missing.is_empty(), ".dockerignore leaves out {missing:?}");
}

fn compose() -> Yaml {
    let documents = YamlLoader::load_from_str(&read("compose.yaml")).expect("compose.yaml must be YAML");
    documents.into_iter().next().expect("compose.yaml is empty")
}

fn texts(list: &Yaml) -> Vec<&str> {
    list.as_vec().map(|list| list.iter().filter_map(Yaml::as_str).collect()).unwrap_or_default()
}

fn keys(map: &Yaml) -> BTreeSet<&str> {
    map.as_hash().map(|map| map.keys().filter_map(Yaml::as_str).collect()).unwrap_or_default()
}

#[test]
fn the_compose_file_sets_only_settings_that_exist() {
    let (file, variables) = (compose(), variables());
    let set = keys(&file["services"]["tollgate"]["environment"]);
    assert!(set.contains("DATABASE_URL_FILE"), "{set:?}");
    let text = read("compose.yaml");
    let suggested =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("# TOLLGATE_")?.split_once(':'));
    let suggested: Vec<String> = suggested.map(|(name, _)| format!("TOLLGATE_{name}")).collect();
    assert!(!suggested.is_empty());
    for name in set.into_iter().map(str::to_owned).chain(suggested) {
        assert!(variables.contains(&name), "{name} is not a setting");
    }
}

#[test]
fn the_compose_file_is_complete_and_closed() {
    let file = compose();
    let services = keys(&file["services"]);
    assert_eq!(services, BTreeSet::from(["postgres", "tollgate"]));
    let postgres = file["services"]["postgres"]["image"].as_str().unwrap();
    assert!(is_pinned(postgres), "{postgres}");
    for service in services {
        let service = &file["services"][service];
        let secrets: BTreeSet<&str> = texts(&service["secrets"]).into_iter().collect();
        assert!(!secrets.is_empty() && secrets.is_subset(&keys(&file["secrets"])), "{secrets:?}");
        for volume in texts(&service["volumes"]) {
            let name = volume.split(':').next().unwrap();
            assert!(keys(&file["volumes"]).contains(name), "{volume}");
        }
        for variable in keys(&service["environment"]).iter().filter(|name| name.ends_with("_FILE")) {
            let path = service["environment"][*variable].as_str().unwrap();
            let secret = path.strip_prefix("/run/secrets/").unwrap_or_else(|| panic!("{path}"));
            assert!(secrets.contains(secret), "{variable}");
        }
    }
    // The password is in no environment, and no other machine reaches the ports.
    assert!(!read("compose.yaml").contains("POSTGRES_PASSWORD:"));
    let tollgate = &file["services"]["tollgate"];
    assert!(texts(&tollgate["ports"]).iter().all(|port| port.starts_with("127.0.0.1:")), "{tollgate:?}");
    assert!(file["services"]["postgres"]["ports"].is_badvalue());
    assert_eq!(tollgate["read_only"].as_bool(), Some(true));
    assert_eq!(texts(&tollgate["cap_drop"]), ["ALL"]);
    assert_eq!(tollgate["depends_on"]["postgres"]["condition"].as_str(), Some("service_healthy"));
    assert!(read(".gitignore").lines().any(|line| line == "/secrets"), "secrets must not be committed");
}
