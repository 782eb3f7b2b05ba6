//! The SQLite file: moved, replaced, deleted, linked, copied, backed up and restored.
