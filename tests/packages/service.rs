//! The service of systemd.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use super::{read, value};
use crate::house::source::root;
use crate::support::server::Launch;
use crate::support::{On, TestDatabase, require, temporary};

const UNIT: &str = "packaging/tollgate.service";
/// The exposure that `systemd-analyze security` may find, of 10.
const MOST_EXPOSURE: f64 = 2.0;

#[test]
fn the_service_is_exposed_to_little() {
    if require::program("systemd-analyze").is_none() {
        return require::missing("systemd-analyze", "on Debian: apt-get install systemd");
    }
    let mut analyze = Command::new("systemd-analyze");
    let output = analyze.args(["security", "--offline=true", "--no-pager"]).arg(root().join(UNIT)).output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = said
        .split_once("exposure level for tollgate.service: ")
        .unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let exposure: f64 = rest.split(' ').next().unwrap().parse().unwrap();
    assert!(exposure > 0.0 && exposure < MOST_EXPOSURE, "{said}");
}

#[test]
fn the_service_runs_the_installed_program_with_the_installed_settings() {
    let (unit, settings) = (read(UNIT), read("packaging/debian/conffiles"));
    let settings = settings.trim();
    assert_eq!(value(&unit, "ExecStart"), format!("/usr/bin/tollgate --config {settings}"));
    assert!(read("packaging/debian/postinst").contains(settings));
    // systemd makes the folders, and nothing else can be written to.
    let state: Vec<&str> = value(&unit, "StateDirectory").split(' ').collect();
    assert_eq!(value(&unit, "WorkingDirectory"), format!("/var/lib/{}", state[0]));
    assert_eq!(value(&unit, "ProtectSystem"), "strict");
    let file = read("packaging/tollgate.toml");
    for place in ["database-url = \"", "# backup-dir = \""] {
        let path = file.lines().find_map(|line| line.strip_prefix(place)).expect(place);
        let path = path.trim_end_matches('"').strip_prefix("/var/lib/").expect("it must be writable");
        assert!(
            state.iter().any(|folder| path == *folder || path == format!("{folder}/tollgate.db")),
            "{path}"
        );
    }
    // The limits on open files of the defaults, with room to raise them.
    assert!(value(&unit, "LimitNOFILE").parse::<u64>().unwrap() >= 16_384);
}

/// `Type=notify`: what starts after the service can connect at once.
#[test]
fn the_service_manager_is_told_when_the_server_answers() {
    assert_eq!(value(&read(UNIT), "Type"), "notify");
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let variable = format!("NOTIFY_SOCKET={}", path.display());
    let mut server = Launch::on(&database).under(&["env", &variable]).spawn();
    let mut message = [0; 64];
    let length = manager.recv(&mut message).unwrap_or_else(|error| panic!("{error}: {}", server.log()));
    assert_eq!(&message[..length], b"READY=1\n");
    assert!(server.listening_or_dead().is_some(), "{}", server.log());
    let answer = server.client().send("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(answer.status, 200);
}

/// A manager that is gone is no reason to stop.
#[test]
fn a_server_starts_without_its_service_manager() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let mut server = Launch::on(&database).under(&["env", "NOTIFY_SOCKET=/no/such/socket"]).spawn();
    server.wait_until_ready();
    assert!(server.log().contains("the service manager cannot be told"), "{}", server.log());
}
