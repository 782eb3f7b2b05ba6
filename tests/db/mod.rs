//! The writer, migrations and the schema.
