//! Collects all numbers for a scrape. `docs/operating.md` lists them, and a test compares the two.

use std::time::Duration;

use super::Sources;
use super::observed::Observed;
use super::process::Process;
use crate::auth::Hasher;
use crate::chat::Toll;
use crate::db::{Db, free_space};
use crate::index::follower::Followed;
use crate::metrics::Exposition;
use crate::metrics::Kind::{Counter, Gauge, Histogram};
use crate::responder::{BreakerState, Health};

/// Writes everything that there is.
pub(super) fn write(sources: &Sources, observed: &Observed, text: &mut Exposition) {
    let services = &sources.services;
    services.traffic.write(text);
    write_money(&services.db, text);
    write_holds(observed, text);
    write_writers(&services.db, text);
    write_readers(&services.db, text);
    write_hashing(services.auth.hasher(), text);
    write_index(&services.db, observed, text);
    write_upstream(&services.toll, text);
    write_memory(sources, text);
    write_server(&services.db, text);
    write_process(text);
}

fn write_money(db: &Db, text: &mut Exposition) {
    let totals = &db.writer_measures().totals;
    let help = "Chats that have ended, by how.";
    let mut family = text.family("tollgate_chats_total", Counter, help);
    for (outcome, ends) in totals.ends() {
        family.value(&[("outcome", outcome)], ends);
    }
    let help = "Chats that have failed, by the reason.";
    let mut family = text.family("tollgate_chat_failures_total", Counter, help);
    for (reason, failures) in totals.failures() {
        family.value(&[("reason", reason)], failures);
    }
    let help = "Tokens that ledger entries have moved, by the kind of entry.";
    let mut family = text.family("tollgate_ledger_tokens_total", Counter, help);
    for (moved, _, tokens) in totals.moved() {
        family.value(&[("kind", moved.name())], tokens);
    }
    let help = "Ledger entries, by their kind.";
    let mut family = text.family("tollgate_ledger_entries_total", Counter, help);
    for (moved, entries, _) in totals.moved() {
        family.value(&[("kind", moved.name())], entries);
    }
}

fn write_holds(observed: &Observed, text: &mut Exposition) {
    let help = "Whether open holds and the index could be read from the database.";
    text.value("tollgate_database_readable", Gauge, help, u8::from(observed.found.is_some()));
    let Some(found) = &observed.found else { return };
    let holds = found.holds;
    text.value("tollgate_open_holds", Gauge, "Chats that are pending, on all nodes.", holds.number);
    text.value("tollgate_held_tokens", Gauge, "Tokens that pending chats hold.", holds.tokens);
    let help = "Pending chats past their deadline, which the sweeper should have refunded.";
    text.value("tollgate_overdue_holds", Gauge, help, found.overdue);
    let since = if holds.number > 0 { observed.at.elapsed() } else { Duration::ZERO };
    let age = (found.oldest_age + since).as_secs_f64();
    text.value("tollgate_oldest_hold_age_seconds", Gauge, "Age of the oldest pending chat.", age);
}

fn write_writers(db: &Db, text: &mut Exposition) {
    let (measures, waiting) = (db.writer_measures(), db.waiting_writes());
    let help = "Jobs that wait for a writer, by the lane.";
    let mut family = text.family("tollgate_writer_queue_jobs", Gauge, help);
    for (lane, jobs) in
        [("main", waiting.main), ("ends", waiting.ends), ("bulk", waiting.bulk), ("late", waiting.late)]
    {
        family.value(&[("lane", lane)], jobs);
    }
    let age = waiting.oldest.as_secs_f64();
    text.value("tollgate_writer_queue_age_seconds", Gauge, "Age of the oldest job of a request.", age);
    let help = "Jobs in a committed transaction.";
    text.family("tollgate_writer_batch_jobs", Histogram, help).histogram(&[], &measures.batches);
    let help = "Time of a COMMIT, or of charges that commit themselves (PostgreSQL).";
    text.family("tollgate_writer_commit_duration_seconds", Histogram, help).histogram(&[], &measures.commits);
    let help = "Transactions that the database has failed.";
    text.value("tollgate_writer_failed_transactions_total", Counter, help, measures.failures.value());
}

fn write_readers(db: &Db, text: &mut Exposition) {
    let reading = db.reading();
    text.value("tollgate_reader_connections", Gauge, "Open connections that read.", reading.open);
    text.value("tollgate_readers_in_use", Gauge, "Connections that are reading.", reading.in_use);
    text.value("tollgate_reader_queue_reads", Gauge, "Reads that wait for a connection.", reading.waiting);
}

fn write_hashing(hasher: &Hasher, text: &mut Exposition) {
    text.value("tollgate_password_hashes_running", Gauge, "Passwords that are hashed.", hasher.running());
    text.value("tollgate_password_hashes_waiting", Gauge, "Passwords that wait.", hasher.waiting());
    let help = "Time that a password has waited to be hashed.";
    let mut family = text.family("tollgate_password_hash_wait_seconds", Histogram, help);
    family.histogram(&[], &hasher.times().waits);
    let help = "Time of hashing a password, without the wait.";
    let mut family = text.family("tollgate_password_hash_duration_seconds", Histogram, help);
    family.histogram(&[], &hasher.times().durations);
}

fn write_index(db: &Db, observed: &Observed, text: &mut Exposition) {
    let has_index = db.index_failure().is_none();
    text.value("tollgate_index_available", Gauge, "Whether the index is open.", u8::from(has_index));
    let Some(lags) = observed.found.and_then(|found| found.lag) else { return };
    let help = "Rows that the index does not have yet, by the table.";
    let mut family = text.family("tollgate_index_lag_rows", Gauge, help);
    for (followed, lag) in Followed::ALL.into_iter().zip(lags) {
        family.value(&[("table", followed.table())], lag);
    }
}

fn write_upstream(toll: &Toll, text: &mut Exposition) {
    let Some(health) = toll.upstream_health() else { return };
    let models: Vec<_> = health.models.iter().map(|model| model.name.as_str()).collect();
    let measured: Vec<_> =
        models.iter().filter_map(|model| Some((*model, toll.call_measures(model)?))).collect();
    let mut family = text.family("tollgate_upstream_calls_total", Counter, "Calls, by how they have ended.");
    for (model, calls) in &measured {
        for (outcome, counter) in [
            ("complete", &calls.complete),
            ("failed", &calls.failed),
            ("cancelled", &calls.cancelled),
            ("refused", &calls.refused),
        ] {
            family.value(&[("model", *model), ("outcome", outcome)], counter.value());
        }
    }
    let help = "Calls that have failed or were not made, by the reason.";
    let mut family = text.family("tollgate_upstream_failures_total", Counter, help);
    for (model, calls) in &measured {
        for (reason, counter) in calls.failures.all().filter(|(_, counter)| counter.value() > 0) {
            family.value(&[("model", *model), ("reason", reason)], counter.value());
        }
    }
    let help = "Time from a call to the first part of its answer.";
    let mut family = text.family("tollgate_upstream_time_to_first_token_seconds", Histogram, help);
    for (model, calls) in &measured {
        family.histogram(&[("model", *model)], &calls.first_parts);
    }
    let help = "Time from a call to its end, however it has ended.";
    let mut family = text.family("tollgate_upstream_call_duration_seconds", Histogram, help);
    for (model, calls) in &measured {
        family.histogram(&[("model", *model)], &calls.durations);
    }
    write_upstream_health(&health, text);
}

fn write_upstream_health(health: &Health, text: &mut Exposition) {
    let help = "State of the circuit breaker: 1 for the state that it is in.";
    let mut family = text.family("tollgate_upstream_breaker_state", Gauge, help);
    for model in &health.models {
        for state in [BreakerState::Closed, BreakerState::HalfOpen, BreakerState::Open] {
            let labels = [("model", model.name.as_str()), ("state", state.as_str())];
            family.value(&labels, u8::from(state == model.state));
        }
    }
    text.value("tollgate_upstream_calls_in_flight", Gauge, "Calls in flight.", health.in_flight);
    text.value("tollgate_upstream_calls_waiting", Gauge, "Calls that wait for a place.", health.waiting);
}

fn write_memory(sources: &Sources, text: &mut Exposition) {
    let memory = &sources.services.memory;
    let help = "Memory for large requests and responses (--memory-budget).";
    text.value("tollgate_memory_budget_bytes", Gauge, help, memory.limit());
    text.value("tollgate_memory_used_bytes", Gauge, "The part of it that is used.", memory.used());
    let free = sources.data_folder.as_deref().and_then(|folder| free_space(folder).ok());
    if let Some(free) = free {
        let help = "Free space on the disk of the SQLite file.";
        text.value("tollgate_disk_free_bytes", Gauge, help, free);
    }
}

fn write_server(db: &Db, text: &mut Exposition) {
    let database = if db.url().is_postgres() { "postgresql" } else { "sqlite" };
    let mut family = text.family("tollgate_build_info", Gauge, "Version and kind of database.");
    family.value(&[("version", env!("CARGO_PKG_VERSION")), ("database", database)], 1);
}

fn write_process(text: &mut Exposition) {
    let process = Process::now();
    let mut add = |name, kind, help, value: Option<f64>| {
        if let Some(value) = value {
            text.value(name, kind, help, value);
        }
    };
    let whole = |number: Option<u64>| number.map(|number| number as f64);
    add("process_cpu_seconds_total", Counter, "CPU time of all threads.", process.cpu_seconds);
    let resident = whole(process.resident_bytes);
    add("process_resident_memory_bytes", Gauge, "Memory that is really used.", resident);
    add("process_virtual_memory_bytes", Gauge, "Memory that is addressed.", whole(process.virtual_bytes));
    add("process_open_fds", Gauge, "Open files and sockets.", whole(process.open_files));
    add("process_max_fds", Gauge, "The most open files and sockets.", whole(process.most_files));
    add("process_start_time_seconds", Gauge, "When the process was started.", process.started);
    add("process_threads", Gauge, "Threads.", whole(process.threads));
}
