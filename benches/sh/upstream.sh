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
    make_users "$users"
    measure_added_to_calls upstream_sqlite_
    say "calls without a pause over $connections connections"
    take upstream_ "$upstream" busy "$server_url" "$data/tokens.txt" "$connections" "$seconds" "$server_pid"
    verify
    say "$chunk_streams streams, directly and through the server"
    take upstream_ "$upstream" chunks "$upstream_url" "$server_url" "$data/tokens.txt" "$chunk_streams" "$seconds"
    say "$streams streams at once"
    take upstream_ "$upstream" hold "$server_url" "$data/tokens.txt" "$streams" "$server_pid"
    verify
    stop_server
    remove_database

    start_cluster
    "$pg_bin/createdb" tollgate
    start_server upstream-postgres "postgres://bench@localhost/tollgate?host=$pg_sockets" \
        "${upstream_flags[@]}" --upstream-url "$upstream_url/v1"
    make_users "$users"
    measure_added_to_calls upstream_postgresql_
    stop_server
    stop_cluster
    stop "$upstream_pid" || true
}

# Compares the dialects with chat completions, and their CPU time for each chunk. With BENCH_BEFORE,
# also that of another server.
measure_dialects() {
    start_in_background "$data/upstream.log" "$upstream" serve
    upstream_pid=$started
    upstream_url=$(wait_until_listening "$upstream_pid" "$data/upstream.log")
    if [ -n "$before" ]; then
        say "chunks through $before"
        local this=$server
        server=$before
        start_server before "$data/before.db" "${upstream_flags[@]}" --upstream-url "$upstream_url/v1"
        make_users "$users"
        take before_ "$upstream" cpu "$server_url" "$data/tokens.txt" "$chunk_streams" "$seconds" "$server_pid" chat_completions
        stop_server
        server=$this
        rm -f "$data"/before.db* "$data"/before-index.db*
    fi
    start_server dialects "$data/tollgate.db" "${upstream_flags[@]}" --upstream-url "$upstream_url/v1"
    make_users "$users"
    say "$calls calls/s through each dialect, plain and streamed"
    take dialects_ "$upstream" dialects "$server_url" "$data/tokens.txt" "$calls" "$seconds"
    say "$chunk_streams streams through each dialect"
    take dialects_ "$upstream" cpu "$server_url" "$data/tokens.txt" "$chunk_streams" "$seconds" "$server_pid"
    verify
    stop_server
    remove_database
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
