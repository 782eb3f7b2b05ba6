//! The settings file of the package.

use std::path::Path;

use super::read;
use crate::house::source::root;
use crate::support::server::tollgate;
use crate::support::temporary;

const FILE: &str = "packaging/tollgate.toml";

#[track_caller]
fn assert_readable(file: &Path) -> String {
    let output = tollgate(&["config", "--config", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn the_server_reads_the_settings_of_the_package() {
    let printed = assert_readable(&root().join(FILE));
    for line in ["bind = \"127.0.0.1:8000\"", "database-url = \"/var/lib/tollgate/tollgate.db\""] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
}

/// Each line that is only a suggestion is a setting, too.
#[test]
fn every_suggested_setting_can_be_uncommented() {
    let file = read(FILE);
    let suggested: Vec<&str> = file
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(|line| line.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')))
        .collect();
    assert!(suggested.len() > 10, "only {suggested:?} are checked");
    let directory = temporary::directory();
    let within = format!("\"{}/", directory.path().display());
    for (name, secret) in [("database-url", "postgres://u:p@127.0.0.1/d"), ("upstream-key", "sk-1")] {
        std::fs::write(directory.path().join(name), secret).unwrap();
    }
    for line in suggested {
        let settings = directory.path().join("tollgate.toml");
        std::fs::write(&settings, line.replace("\"/etc/tollgate/", &within)).unwrap();
        let printed = assert_readable(&settings);
        let name = line.split(' ').next().unwrap();
        assert!(printed.contains(&format!("{}:1", settings.display())), "{name} has no effect: {printed}");
    }
}
