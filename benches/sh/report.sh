# Writes the figures as Markdown, with the commit, the time and the machine. Sourced by
# scripts/bench.
# shellcheck shell=bash disable=SC2154

# report MEASURES...
report() {
    echo "# Results"
    echo
    echo "Written by \`scripts/bench\`; [README.md](README.md) says how to read it."
    echo
    stamp
    echo
    echo "| measure | Tollgate | baseline | ratio | to reach | reached |"
    echo "| --- | --- | --- | --- | --- | --- |"
    local measure
    for measure in "$@"; do "rows_$measure"; done
}

# Prints the commit, with -dirty if files differ from it (except the results of an earlier run).
describe_commit() {
    local commit changes
    commit=$(git describe --always 2>/dev/null) || commit="none"
    changes=$(git status --porcelain -- . ':!benches/results.md' 2>/dev/null) || changes=""
    echo "$commit${changes:+-dirty}"
}

stamp() {
    echo "- Commit $commit, $(date -u '+%Y-%m-%d %H:%M UTC'), $(rustc --version | cut -d ' ' -f 1-2)"
    echo "- $(nproc) cores, $(uname -srm); other processes took at most $others % of them just before a measure"
    [ -z "$pg_bin" ] || echo "- $("$pg_bin/postgres" --version), default settings"
    echo "- Runs of $seconds s, $connections connections, $threads wrk threads, $users users; load generator on the same machine"
    [ ${#server_flags[@]} -eq 0 ] || echo "- The server's flags: ${server_flags[*]}"
}

rows_sqlite() {
    ratio_row "chats on SQLite" sqlite_wrk_rate raw_sqlite_batches_of_64 "raw SQLite, batches of 64" 0.5 0.7
    ratio_row "the same" sqlite_wrk_rate raw_sqlite_batches_of_64_writer_settings \
        "raw SQLite, batches of 64, with the server's own write settings"
    ratio_row "the same" sqlite_wrk_rate raw_sqlite_commit_each "raw SQLite, a commit each"
    latency_rows SQLite sqlite_
}

rows_tokens() {
    ratio_row "\`GET /tokens/\`" tokens_wrk_rate bare_wrk_rate "bare Actix handler" 0.333
}

rows_start() {
    limit_row "start to first answer, median of $starts" start_median ms 200
}

rows_upstream() {
    local name each
    for name in SQLite PostgreSQL; do
        each=upstream_${name,,}_
        added_row "added to a call, $calls/s on $name, p50" "${each}plain" "${each}direct" p50 1
        added_row "the same, p99" "${each}plain" "${each}direct" p99 5
        added_row "added to a streamed call, $calls/s on $name, p50" "${each}streamed" "${each}direct" p50 1
        added_row "the same, p99" "${each}streamed" "${each}direct" p99 5
    done
    added_row "added to a chunk, $chunk_streams streams, p50" upstream_chunk upstream_chunk_direct p50 0.2
    added_row "the same, p99" upstream_chunk upstream_chunk_direct p99
    limit_row "memory with $(whole "${figure[upstream_hold_streams]}") open streams" upstream_hold_memory MB 150
    limit_row "the same, peak" upstream_hold_memory_peak MB 150
}

# added_row WHAT PREFIX DIRECT PERCENTILE [BELOW]: how much longer calls take than direct ones.
added_row() {
    local added=${figure[$2_added_$4]} reached=""
    if [ -n "${5:-}" ]; then
        reached=$(awk -v a="$added" -v b="$5" 'BEGIN { print (a < b ? "yes" : "**no**") }')
    fi
    echo "| $1 | $added ms (${figure[$2_$4]} ms) | the upstream directly: ${figure[$3_$4]} ms | | ${5:+below $5 ms} | $reached |"
}

rows_postgres() {
    ratio_row "chats on PostgreSQL" postgres_wrk_rate pgbench_best "pgbench, ${figure[pgbench_best_clients]} clients" 1.5 2
    latency_rows PostgreSQL postgres_
}

# latency_rows DATABASE PREFIX: latency at half the rate, and memory.
latency_rows() {
    local at
    at="at $(whole "${figure[$2load_rate]}") chats/s on $1"
    limit_row "latency $at, p50" "$2load_p50" ms 1
    limit_row "latency $at, p99" "$2load_p99" ms 5
    limit_row "latency $at, p99.9" "$2load_p999" ms
    limit_row "latency $at, slowest" "$2load_max" ms
    limit_row "memory under load on $1, peak" "$2memory_peak" MB 40
}

# ratio_row WHAT FIGURE BASELINE BASELINE_NAME [TO_REACH [AIM]]
ratio_row() {
    local ratio to_reach="" reached=""
    ratio=$(awk -v a="${figure[$2]}" -v b="${figure[$3]}" 'BEGIN { printf "%.2f", a / b }')
    if [ -n "${5:-}" ]; then
        to_reach="$5${6:+, aim $6}"
        reached=$(awk -v a="${figure[$2]}" -v b="${figure[$3]}" -v c="$5" 'BEGIN { print (a / b >= c ? "yes" : "**no**") }')
    fi
    echo "| $1 | $(whole "${figure[$2]}")/s | $4: $(whole "${figure[$3]}")/s | $ratio | $to_reach | $reached |"
}

# limit_row WHAT FIGURE UNIT [BELOW]
limit_row() {
    local reached=""
    if [ -n "${4:-}" ]; then
        reached=$(awk -v a="${figure[$2]}" -v b="$4" 'BEGIN { print (a < b ? "yes" : "**no**") }')
    fi
    echo "| $1 | ${figure[$2]} $3 | | | ${4:+below $4 $3} | $reached |"
}

# Formats 12345.6 as 12,346.
whole() {
    LC_ALL=C awk -v value="$1" 'BEGIN { text = sprintf("%.0f", value); while (text ~ /[0-9][0-9][0-9][0-9]/)
        sub(/[0-9][0-9][0-9]($|,)/, ",&", text); print text }'
}
