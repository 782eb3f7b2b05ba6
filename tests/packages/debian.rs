//! What the Debian package is made of.

use std::collections::BTreeSet;
use std::process::Command;

use super::read;
use crate::house::source::root;

const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

#[test]
fn the_scripts_of_the_package_are_shell_and_stop_at_a_failure() {
    for name in SCRIPTS {
        let path = format!("packaging/debian/{name}");
        let checked = Command::new("sh").arg("-n").arg(root().join(&path)).output().unwrap();
        assert!(checked.status.success(), "{path}: {}", String::from_utf8_lossy(&checked.stderr));
        let text = read(&path);
        assert!(text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"), "{path}");
        // Without systemd, as in a chroot, there is nobody to ask.
        for command in ["systemctl", "deb-systemd-invoke"] {
            let guarded = text.contains("[ -d /run/systemd/system ]");
            assert!(guarded || !text.contains(command), "{path} calls {command} in any case");
        }
    }
}

/// What people have paid for goes only if somebody says so.
#[test]
fn only_an_answer_deletes_the_data() {
    let is_deleting = |line: &str| line.contains(" -delete") || line.contains("rm -r");
    let deletes = |name: &&str| read(&format!("packaging/debian/{name}")).lines().any(is_deleting);
    assert_eq!(SCRIPTS.iter().filter(|name| deletes(name)).collect::<Vec<_>>(), [&"postrm"]);
    let script = read("packaging/debian/postrm");
    assert_eq!(script.lines().filter(|line| is_deleting(line)).count(), 1, "{script}");
    let (before, _) = script.split_once("find /var/lib/tollgate/ -mindepth 1 -delete").unwrap();
    assert!(before.trim_end().ends_with("if [ \"$delete_data\" = true ]; then"), "{before}");
    let template = read("packaging/debian/templates");
    assert!(
        template.contains("Template: tollgate/delete-data\nType: boolean\nDefault: false\n"),
        "{template}"
    );
}

#[test]
fn every_placeholder_of_the_control_file_is_filled_in() {
    let (control, pack) = (read("packaging/debian/control"), read("packaging/pack"));
    let placeholders: BTreeSet<&str> = control
        .split('@')
        .filter(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_uppercase()))
        .collect();
    assert_eq!(placeholders, BTreeSet::from(["ARCHITECTURE", "GLIBC", "SIZE", "VERSION"]));
    for placeholder in placeholders {
        assert!(pack.contains(&format!("s/@{placeholder}@/")), "{placeholder}");
    }
}

/// Returns the lines of a section of `README.Debian` that are commands.
fn commands(section: &str) -> Vec<String> {
    let readme = read("packaging/debian/README.Debian");
    let (_, rest) = readme.split_once(&format!("\n{section}\n---")).expect(section);
    let body = rest.split("\n---").next().unwrap();
    body.lines().filter_map(|line| line.strip_prefix("    ").map(str::to_owned)).collect()
}

/// `scripts/proofs packages` runs them.
#[test]
fn three_commands_lead_to_the_first_paid_answer() {
    let commands = commands("From the package to the first paid answer");
    assert_eq!(commands.len(), 3, "{commands:?}");
    assert!(commands[0].starts_with("apt-get install ./tollgate_"), "{commands:?}");
    assert!(commands[2].contains("/chat/"), "{commands:?}");
}

#[test]
fn the_readme_names_what_the_package_installs() {
    let readme = read("packaging/debian/README.Debian");
    let pack = read("packaging/pack");
    for (named, packed) in [
        ("/etc/tollgate/tollgate.toml", "\"$root/etc/tollgate/\""),
        ("/usr/share/doc/tollgate/", "/usr/share/doc/tollgate"),
        ("/usr/share/doc/tollgate/examples/", "$documents/examples"),
        ("changelog.gz", "changelog.gz"),
        ("install.md", "docs/*.md"),
    ] {
        assert!(readme.contains(named) && pack.contains(packed), "{named}");
    }
    for document in ["docs/install.md", "docs/operating.md"] {
        assert!(root().join(document).exists(), "{document}");
    }
}
