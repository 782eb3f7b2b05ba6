//! A database that other users may read, as after a restore with `cp`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::{beside, file, serve, stop_clean};
use crate::support::server::Server;
use crate::support::{On, TestDatabase, require};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_world_readable_database_is_made_private_with_a_warning() {
    let (database, mut server, token) = serve();
    server.kill9();
    for suffix in ["", "-wal", "-shm"] {
        fs::set_permissions(beside(&database, suffix), Permissions::from_mode(0o644)).unwrap();
    }
    let mut server = Server::start(&database, &[]);
    assert_eq!(server.chat(&token, "Hello").status, 201);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(&database, suffix)), 0o600, "{suffix}");
    }
    assert!(server.log().contains("had mode 644"), "{}", server.log());
    stop_clean(&mut server, &database);
    assert_eq!(mode(file(&database)), 0o600);
}

#[test]
fn another_users_world_writable_database_is_refused() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    fs::write(database.url(), b"").unwrap();
    fs::set_permissions(database.url(), Permissions::from_mode(0o666)).unwrap();
    let folder = file(&database).parent().unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o777)).unwrap();
    // Root may change any mode, so the command runs as another user.
    if chown(database.url(), Some(1), Some(1)).is_err() {
        return require::skipped("giving a file to somebody else takes root");
    }
    let binary = folder.join("tollgate");
    fs::copy(env!("CARGO_BIN_EXE_tollgate"), &binary).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&binary);
    let output = command.args(["migrate", "--database-url", database.url()]).output();
    let Ok(output) = output else { return require::skipped("there is no setpriv here") };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("setpriv:") {
        return require::skipped("becoming somebody else is not allowed here");
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("has mode 666") && said.contains("chmod 600"), "{said}");
}
