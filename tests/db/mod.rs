//! The writer, migrations and the schema.

mod clocks;
mod eight;
mod guards;
mod migrations;
mod other_databases;
mod panel_plans;
mod plans;
mod queue;
mod schema;
mod unknown_commit;
mod writer;
mod writer_on_postgres;
