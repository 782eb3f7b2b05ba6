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
    ratio_row "chats on SQLite" sqlite_wrk_rate raw_sqlite_batches_of_64 "raw SQLite, batches of 64" 1
    ratio_row "the same" sqlite_wrk_rate raw_sqlite_batches_of_64_writer_settings \
        "raw SQLite, batches of 64, with the server's own write settings"
    ratio_row "the same" sqlite_wrk_rate raw_sqlite_commit_each "raw SQLite, a commit each"
    limit_row "the index behind, at the end of that" sqlite_index_lag s
    info_row "the disk's own commit, 80 KB, 700 times a second, p50" disk_p50 ms
    info_row "the same, p99" disk_p99 ms
    info_row "the same beside checkpoints, p99" disk_beside_checkpoints_p99 ms
    most_p99=$(awk -v disk="${figure[disk_beside_checkpoints_p99]}" 'BEGIN { print (3 * disk > 3 ? 3 * disk : 3) }')
    latency_rows SQLite sqlite_ 0.6 "$most_p99"
    limit_row "memory under load on SQLite, peak" sqlite_memory_peak MB 40
    latency_rows SQLite sqlite_at_7000_ 0.6 "$most_p99"
    latency_rows SQLite sqlite_at_1000_ "" 1.2
}

rows_sqlite-large() {
    local many
    many="$(whole "$large_users") users, $(whole "$large_chats") chats before"
    ratio_row "chats on SQLite, $many" large_wrk_rate raw_sqlite_batches_of_64 "raw SQLite, batches of 64, 1,000 users" 0.7
    limit_row "the same, written to disks for a chat" large_kb KB 20
    limit_row "the index behind, at the end of that" large_index_lag s
    latency_rows "SQLite, $many" large_
}

rows_steady() {
    limit_row "the index behind after $steady s at $(whole "${figure[steady_load_rate]}") chats/s on SQLite" steady_index_lag s 2
    limit_row "memory after that" steady_memory_now MB
    info_row "memory before that" steady_first_memory_now MB
}

rows_compare() {
    [ -n "$before" ] || return 0
    turns_row "chats/s on SQLite" chat_wrk_rate
    turns_row "latency at 7,000 chats/s, p50 in ms" load_p50
    turns_row "latency at 7,000 chats/s, p99 in ms" load_p99
    turns_row "\`GET /tokens/\` a second" tokens_wrk_rate
    turns_row "calls/s through an upstream that answers at once" busy_rate
    turns_row "CPU for such a call in us" busy_cpu
}

# turns_row WHAT FIGURE: the median of all turns, and the range.
turns_row() {
    local after before_it
    after=$(of_turns after "$2")
    before_it=$(of_turns before "$2")
    echo "| $1, median of $turns runs | $after | the server before: $before_it | $(ratio_of "$after" "$before_it") | | |"
}

# of_turns BUILD FIGURE: prints the median and the range.
of_turns() {
    local turn
    for turn in $(seq "$turns"); do echo "${figure[$1_${turn}_$2]}"; done | sort -g |
        awk '{ value[NR] = $1 } END { print value[int((NR + 1) / 2)] " (" value[1] " to " value[NR] ")" }'
}

# ratio_of A B: the ratio of the first numbers of two texts.
ratio_of() { awk -v a="${1%% *}" -v b="${2%% *}" 'BEGIN { printf "%.2f", a / b }'; }

rows_tokens() {
    ratio_row "\`GET /tokens/\`" tokens_wrk_rate bare_wrk_rate "bare Actix handler" 0.5
}

rows_start() {
    limit_row "start to first answer, median of $starts" start_median ms 200
}

rows_upstream() {
    local name each limits
    for name in SQLite PostgreSQL; do
        each=upstream_${name,,}_
        limits=(0.6 2)
        [ "$name" = SQLite ] || limits=(1.2 5)
        added_row "added to a call, $calls/s on $name, p50" "${each}plain" "${each}direct" p50 "${limits[0]}"
        added_row "the same, p99" "${each}plain" "${each}direct" p99 "${limits[1]}"
        added_row "added to a streamed call, $calls/s on $name, p50" "${each}streamed" "${each}direct" p50 "${limits[0]}"
        added_row "the same, p99" "${each}streamed" "${each}direct" p99 "${limits[1]}"
    done
    least_row "calls/s through an upstream that answers at once, $connections connections, SQLite" upstream_busy_rate calls/s 9000
    limit_row "the same, CPU for a call" upstream_busy_cpu us 140
    added_row "added to a chunk, $chunk_streams streams, p50" upstream_chunk upstream_chunk_direct p50 0.2
    added_row "the same, p99" upstream_chunk upstream_chunk_direct p99
    limit_row "memory with $(whole "${figure[upstream_hold_streams]}") open streams" upstream_hold_memory MB 150
    limit_row "the same, peak" upstream_hold_memory_peak MB 150
}

# The most that a call through a dialect may take longer than through chat completions, in ms, and
# the most CPU time of a chunk compared with the server before.
most_added=0.1
most_cpu=1.1

rows_dialects() {
    local dialect form name
    for form in plain streamed; do
        for dialect in responses messages completions embeddings; do
            name=dialects_${dialect}_$form
            [ -n "${figure[${name}_p50]:-}" ] || continue
            compared_row "$dialect, $form, $calls calls/s on SQLite, p50" "$name" "dialects_chat_completions_$form" p50 "$most_added"
            compared_row "the same, p99" "$name" "dialects_chat_completions_$form" p99
        done
    done
    for dialect in chat_completions responses messages completions; do
        cpu_row "CPU for a chunk through $dialect, $chunk_streams streams" "dialects_cpu_$dialect"
    done
}

# compared_row WHAT PREFIX BASELINE PERCENTILE [BELOW]: how much longer calls take than through chat
# completions.
compared_row() {
    local added=${figure[$2_added_$4]} reached=""
    if [ -n "${5:-}" ]; then
        reached=$(awk -v a="$added" -v b="$5" 'BEGIN { print (a <= b ? "yes" : "**no**") }')
    fi
    echo "| $1 | $added ms (${figure[$2_$4]} ms) | chat completions: ${figure[$3_$4]} ms | | ${5:+at most $5 ms} | $reached |"
}

# cpu_row WHAT FIGURE: CPU time for a chunk, compared with the server before, if that was measured,
# or else with chat completions.
cpu_row() {
    local name="chat completions" baseline=${figure[dialects_cpu_chat_completions]} ratio reached
    if [ -n "$before" ]; then
        name="the server before, chat completions"
        baseline=${figure[before_cpu_chat_completions]}
    fi
    ratio=$(awk -v a="${figure[$2]}" -v b="$baseline" 'BEGIN { printf "%.2f", a / b }')
    reached=$(awk -v a="$ratio" -v b="$most_cpu" 'BEGIN { print (a <= b ? "yes" : "**no**") }')
    echo "| $1 | ${figure[$2]} us | $name: $baseline us | $ratio | at most $most_cpu | $reached |"
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
    ratio_row "chats on PostgreSQL" postgres_wrk_rate pgbench_best "pgbench, ${figure[pgbench_best_clients]} clients" 2.5
    latency_rows PostgreSQL postgres_ 1.5 6
    limit_row "memory under load on PostgreSQL, peak" postgres_memory_peak MB 40
}

# latency_rows DATABASE PREFIX [MOST_P50 MOST_P99]: latency at a fixed rate.
latency_rows() {
    local at
    at="at $(whole "${figure[$2load_rate]}") chats/s on $1"
    limit_row "latency $at, p50" "$2load_p50" ms "${3:-}"
    limit_row "latency $at, p99" "$2load_p99" ms "${4:-}"
    limit_row "latency $at, p99.9" "$2load_p999" ms
    limit_row "latency $at, slowest" "$2load_max" ms
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

# least_row WHAT FIGURE UNIT LEAST
least_row() {
    local reached
    reached=$(awk -v a="${figure[$2]}" -v b="$4" 'BEGIN { print (a >= b ? "yes" : "**no**") }')
    echo "| $1 | $(whole "${figure[$2]}") $3 | | | at least $(whole "$4") | $reached |"
}

# limit_row WHAT FIGURE UNIT [BELOW]
limit_row() {
    local reached=""
    if [ -n "${4:-}" ]; then
        reached=$(awk -v a="${figure[$2]}" -v b="$4" 'BEGIN { print (a < b ? "yes" : "**no**") }')
    fi
    echo "| $1 | ${figure[$2]} $3 | | | ${4:+below $4 $3} | $reached |"
}

# info_row WHAT FIGURE UNIT: a figure of the machine, not of Tollgate.
info_row() { echo "| $1 | | ${figure[$2]} $3 | | | |"; }

# Formats 12345.6 as 12,346.
whole() {
    LC_ALL=C awk -v value="$1" 'BEGIN { text = sprintf("%.0f", value); while (text ~ /[0-9][0-9][0-9][0-9]/)
        sub(/[0-9][0-9][0-9]($|,)/, ",&", text); print text }'
}
