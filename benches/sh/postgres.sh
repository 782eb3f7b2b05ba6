# A temporary PostgreSQL cluster with default settings, including fsync, and pgbench on it.
# Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154

pg_bin=""
pg_home=""    # the cluster's folder while it runs
pg_sockets="" # the folder of its socket; it needs no TCP port
pg_as=()      # the prefix that runs a command as a user who may run PostgreSQL

# Finds the newest version installed. Debian's binaries are not in the PATH.
find_postgres() {
    local found
    for found in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V -r) "$(dirname "$(command -v postgres || true)")"; do
        if [ -x "$found/initdb" ] && [ -x "$found/pgbench" ]; then
            pg_bin=$found
            return 0
        fi
    done
    return 1
}

start_cluster() {
    rm -rf "$data/postgres"
    make_cluster "$data/postgres"
    run_cluster
}

# open_cluster FOLDER: uses an existing cluster.
open_cluster() {
    pg_home=$1
    pg_sockets=$(mktemp -d -t tollgate-bench.XXXXXX)
    # PostgreSQL refuses to run as root.
    if [ "$(id -u)" -eq 0 ]; then
        local owner=nobody
        if id postgres >/dev/null 2>&1; then owner=postgres; fi
        pg_as=(setpriv "--reuid=$owner" "--regid=$(id -g "$owner")" --clear-groups)
        chown "$owner" "$pg_home" "$pg_sockets"
        "${pg_as[@]}" test -w "$pg_home" || die "$owner cannot write to $pg_home: choose a folder that it can reach"
    fi
}

make_cluster() {
    say "making a PostgreSQL cluster"
    rm -rf "$1"
    mkdir -p "$1"
    open_cluster "$1"
    (cd "$pg_home" && "${pg_as[@]}" "$pg_bin/initdb" -D "$pg_home/data" -U bench -A trust -E UTF8 --locale=C.UTF-8) \
        >"$1.initdb.log" 2>&1 || die "initdb failed; its log is $1.initdb.log"
}

# run_cluster [OPTION...]
run_cluster() {
    (cd "$pg_home" && "${pg_as[@]}" "$pg_bin/pg_ctl" -s -w -t 300 -D "$pg_home/data" -l "$pg_home/log" \
        -o "-c listen_addresses='' -c unix_socket_directories='$pg_sockets' $*" start) ||
        die "PostgreSQL does not start; its log is $pg_home/log"
    export PGHOST=$pg_sockets PGUSER=bench
}

# Stops the cluster of this script, and no other, by the process id in its folder. Keeps its data.
halt_cluster() {
    [ -n "$pg_home" ] || return 0
    if [ -f "$pg_home/data/postmaster.pid" ]; then
        (cd "$pg_home" && "${pg_as[@]}" "$pg_bin/pg_ctl" -s -w -t 300 -m fast -D "$pg_home/data" stop) || true
    fi
}

# Removes the cluster of this run, but keeps the panel's.
stop_cluster() {
    halt_cluster
    [ -z "$pg_sockets" ] || rm -rf "$pg_sockets"
    [ "$pg_home" != "$data/postgres" ] || rm -rf "$pg_home"
    pg_home=""
}

# Runs the four statements as one, with several numbers of clients. The best counts.
measure_pgbench() {
    local psql=("$pg_bin/psql" -qX -v ON_ERROR_STOP=1 -d baseline) migration clients rate
    "$pg_bin/createdb" baseline
    for migration in migrations/postgres/*/up.sql; do "${psql[@]}" -f "$migration"; done
    "${psql[@]}" -f benches/sql/postgres/users.sql
    figure[pgbench_best]=0
    run_pgbench 8 "$warm_up" >/dev/null
    for clients in $pg_clients; do
        say "pgbench with $clients clients"
        take "" run_pgbench "$clients" "$seconds"
        rate=${figure[pgbench_$clients]}
        if awk -v a="$rate" -v b="${figure[pgbench_best]}" 'BEGIN { exit !(a > b) }'; then
            figure[pgbench_best]=$rate
            figure[pgbench_best_clients]=$clients
        fi
    done
}

run_pgbench() {
    local output
    output=$("$pg_bin/pgbench" -n -M prepared -c "$1" -j "$(($1 < 2 ? 1 : 2))" -T "$2" \
        -f benches/sql/postgres/chat.sql baseline 2>&1) || die "pgbench failed: $output"
    sed -n "s/^tps = \([0-9.]*\).*/pgbench_$1 \1 chats\/s/p" <<<"$output"
}
