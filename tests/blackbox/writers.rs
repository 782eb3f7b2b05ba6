//! The number of writers on PostgreSQL.

use crate::support::server::Server;
use crate::support::{On, TestDatabase};

#[test]
fn a_server_chooses_the_number_of_its_writers_and_warns_of_too_many() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let chosen = Server::start(&database, &[]).log();
    assert!(chosen.contains("writers: a commit takes "), "{chosen}");
    assert!(!chosen.contains("--pg-writers"), "{chosen}");
    let fitting = Server::start(&database, &["--pg-writers", "2"]).log();
    assert!(!fitting.contains("--pg-writers"), "{fitting}");
    let too_many = Server::start(&database, &["--pg-writers", "64"]).log();
    assert!(too_many.contains("--pg-writers 64 is too high for this database"), "{too_many}");
}
