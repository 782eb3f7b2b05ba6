# Measures what Tollgate adds to whole calls of an upstream (on both databases) and to each chunk,
# and its memory with many open streams. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154

measure_upstream() {
    # Client and upstream have one file handle per stream, the server two.
    ulimit -S -n "$(ulimit -H -n)"
    start_in_background "$data/upstream.log" "$upstream" serve
    upstream_pid=$started
    upstream_url=$(wait_until_listening "$upstream_pid" "$data/upstream.log")

    start_server upstream-sqlite "$data/tollgate.db" "${upstream_flags[@]}" --upstream-url "$upstream_url/v1"
    make_users
    measure_added_to_calls upstream_sqlite_
    say "$chunk_streams streams, directly and through the server"
    take upstream_ "$upstream" chunks "$upstream_url" "$server_url" "$data/tokens.txt" "$chunk_streams" "$seconds"
    say "$streams streams at once"
    take upstream_ "$upstream" hold "$server_url" "$data/tokens.txt" "$streams" "$server_pid"
    verify
    stop_server
    rm -f "$data"/tollgate.db*

    start_cluster
    "$pg_bin/createdb" tollgate
    start_server upstream-postgres "postgres://bench@localhost/tollgate?host=$pg_sockets" \
        "${upstream_flags[@]}" --upstream-url "$upstream_url/v1"
    make_users
    measure_added_to_calls upstream_postgresql_
    stop_server
    stop_cluster
    stop "$upstream_pid" || true
}

# The upstream's models, and a limit on calls that is higher than the number of streams.
upstream_flags=(--responder openai --upstream-models "at-once,paced,slow" --upstream-calls 4000)

# measure_added_to_calls PREFIX
measure_added_to_calls() {
    say "$calls calls/s, directly and through the server, plain and streamed"
    take "$1" "$upstream" calls "$upstream_url" "$server_url" "$data/tokens.txt" "$calls" "$seconds"
    verify
}
