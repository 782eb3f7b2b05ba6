#!/usr/bin/env python3
"""What each part of the tables costs a chat on PostgreSQL. `scripts/bench costs-postgres` runs it.

Makes chats by the server's own statement (src/metering/charge/postgres.sql), one batch in each
transaction, each time without one part of the tables. Prints a Markdown table. PGHOST and PGUSER say
where PostgreSQL is; its programs are in the folder that is the first argument.
"""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

STATEMENT = Path("src/metering/charge/postgres.sql").read_text()
TYPES = "bigint,bigint[],bytea[],text[],text[],text[],bigint[],bytea[],text[],bytea[],bigint[],text[],bigint"
# As in the settings of a writer's session (src/db/postgres.rs).
SETTINGS = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET jit = off;"
WARM_UP = 60
# The number of statements for each size of a batch.
COUNTS = {1: 1500, 8: 600, 64: 150}


def drop_constraints(kind, tables):
    return f"""DO $$ DECLARE r record; BEGIN
        FOR r IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
            WHERE contype = '{kind}' AND conrelid::regclass::text IN ({tables})
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', r.name, r.conname); END LOOP;
    END $$"""


VARIANTS = {
    "nothing": "",
    "`chats (user_id, is_listed, id)`": "DROP INDEX chats_by_user",
    "`ledger_entries (user_id, id)`": "DROP INDEX ledger_entries_by_user",
    "both": "DROP INDEX chats_by_user; DROP INDEX ledger_entries_by_user",
    "`ledger_entries (chat_id, kind)`, unique": "DROP INDEX ledger_entries_once_per_chat",
    "`ledger_entries (operation_id)`, unique": "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_operation_id_key",
    "the trigger of the ledger": "DROP TRIGGER ledger_entries_within_charge ON ledger_entries",
    "foreign keys": drop_constraints("f", "'chats', 'ledger_entries'"),
    "CHECK constraints": drop_constraints("c", "'chats', 'ledger_entries', 'users'"),
}


def psql(database, script):
    command = [f"{PROGRAMS}/psql", "-d", database, "-XAtq", "-v", "ON_ERROR_STOP=1"]
    return subprocess.run(command, input=script, text=True, capture_output=True, check=True).stdout


def chats_each(users):
    return 10 if users < 1_000_000 else 2


def fill(database, users):
    """Makes users with an auth token and some chats each, as a server has after a while."""
    for migration in sorted(Path("migrations/postgres").glob("*/up.sql")):
        psql(database, migration.read_text())
    psql(database, f"""
        INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
        SELECT i, 'user' || i, 'user' || i, '!', 1000000000, now() AT TIME ZONE 'UTC' FROM generate_series(1, {users}) AS i;
        INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
        SELECT i, sha256(int8send(i)), 'bench', now() AT TIME ZONE 'UTC' FROM generate_series(1::bigint, {users}) AS i;
        INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
        SELECT 1 + (random() * {users - 1})::bigint, 'hello number one', 'Response to hello number one', 'dummy', 'complete',
            100, 'live', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC' FROM generate_series(1, {users * chats_each(users)});
        INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
        SELECT user_id, -100, 1000, 'charge', id, {operation_id_sql()}, created_at FROM chats;
        VACUUM ANALYZE; CHECKPOINT;""")


def operation_id_sql():
    """An operation id as the server makes it: 48 bits of time and 80 random bits."""
    return ("substring(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint) FROM 3)"
            " || substring(uuid_send(gen_random_uuid()) FROM 7)")


def operation_id(number):
    """The same, later than all that are stored."""
    return (1 << 42 | number).to_bytes(6, "big").hex() + os.urandom(10).hex()


def batch(size, users, number):
    def array(values, of):
        return "ARRAY[" + ",".join(values) + f"]::{of}[]"

    digests = [f"sha256(int8send({random.randint(1, users)}))" for _ in range(size)]
    ids = [f"'\\x{operation_id(number)}'" for _ in range(size)]
    nothing = ["NULL"] * size
    return "EXECUTE charge(100, NULL, " + ", ".join([
        array(digests, "bytea"), array(["'hello number one'"] * size, "text"), array(["'dummy'"] * size, "text"),
        array(["'Response to hello number one'"] * size, "text"), array(["600"] * size, "bigint"), array(ids, "bytea"),
        array(nothing, "text"), array(nothing, "bytea"), array(nothing, "bigint"), array(["'chat'"] * size, "text"), "NULL",
    ]) + ");\n"


def measure(database, size, users):
    """Returns WAL records, bytes of WAL without and with whole pages, and microseconds of CPU, for each chat."""
    count = COUNTS[size]
    cpu = f"\\! awk '{{print \"cpu\", $14 + $15}}' /proc/$(pgrep -f 'postgres: .* {database} ' | head -1)/stat\n"
    # The statistics of a session are reported when it is idle for a second.
    wal = "SELECT pg_stat_force_next_flush();\n" if VERSION >= 15 else "SELECT pg_sleep(1.1);\n"
    wal += "SELECT 'wal', wal_records, wal_fpi, wal_bytes FROM pg_stat_wal;\n"
    script = SETTINGS + f"\nPREPARE charge({TYPES}) AS {STATEMENT};\n\\o /dev/null\n"
    script += "".join(batch(size, users, i) for i in range(WARM_UP)) + "\\o\n" + wal + cpu + "\\o /dev/null\n"
    script += "".join(batch(size, users, WARM_UP + i) for i in range(count)) + "\\o\n" + cpu + wal
    output = psql(database, script)
    before, after = [int(ticks) for ticks in re.findall(r"cpu (\d+)", output)]
    first, last = [[int(n) for n in row] for row in re.findall(r"wal\|(\d+)\|(\d+)\|(\d+)", output)]
    records, pages, size_of_wal = [(b - a) / count / size for a, b in zip(first, last)]
    ticks = os.sysconf("SC_CLK_TCK")
    return records, pages, size_of_wal / 1000, (after - before) * 1e6 / ticks / count / size


def main():
    global PROGRAMS, VERSION
    PROGRAMS = sys.argv[1]
    VERSION = int(psql("postgres", "SHOW server_version_num")) // 10000
    for users in [int(users) for users in sys.argv[2:]]:
        print(f"\n## {users:,} users, {users * chats_each(users):,} chats\n")
        names = ["WAL records", "whole pages", "KB of WAL", "µs of CPU"]
        print("| without | " + " | ".join(f"{name} ({size})" for size in COUNTS for name in names) + " |")
        print("| --- |" + " ---: |" * len(names) * len(COUNTS))
        subprocess.run([f"{PROGRAMS}/createdb", "template"], check=True)
        fill("template", users)
        for name, change in VARIANTS.items():
            subprocess.run([f"{PROGRAMS}/createdb", "-T", "template", "costs"], check=True)
            psql("costs", change + "; CHECKPOINT")
            cells = []
            for size in COUNTS:
                records, pages, kb, micros = measure("costs", size, users)
                cells += [f"{records:.1f}", f"{pages:.2f}", f"{kb:.2f}", f"{micros:.0f}"]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
            subprocess.run([f"{PROGRAMS}/dropdb", "costs"], check=True)
        subprocess.run([f"{PROGRAMS}/dropdb", "template"], check=True)


main()
