//! The writer, migrations and the schema.

mod clocks;
mod eight;
mod guards;
mod index_file;
mod index_lag;
mod index_trust;
mod migrations;
mod other_databases;
mod panel_plans;
mod plans;
mod postgres_plans;
mod queue;
mod schema;
mod unknown_commit;
mod writer;
mod writer_on_postgres;
