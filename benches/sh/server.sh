# Starts, loads, verifies and stops the server under test. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154

# start_server NAME DATABASE_URL [FLAG...]
start_server() {
    server_log=$data/$1.log
    database_url=$2
    shift 2
    start_in_background "$server_log" "$server" serve --bind 127.0.0.1:0 --database-url "$database_url" \
        --throttle off --bcrypt-cost 4 --opening-tokens 1000000000 "$@" "${server_flags[@]}"
    server_pid=$started
    server_url=$(wait_until_listening "$server_pid" "$server_log")
}

# make_users COUNT
make_users() {
    say "making $1 users"
    "$load" setup "$server_url" "$1" "$data/tokens.txt"
}

# load_with_wrk SCRIPT URL PREFIX: runs a warm-up, then takes the figures.
load_with_wrk() {
    local wrk=(wrk -t "$threads" -c "$connections" -s "benches/wrk/$1.lua")
    local rest=("$2" -- "$data/tokens.txt" "$threads")
    "${wrk[@]}" -d "${warm_up}s" "${rest[@]}" >/dev/null
    take "$3" "${wrk[@]}" -d "${seconds}s" "${rest[@]}"
    [ "${figure[$3wrk_errors]}" = 0 ] || die "${figure[$3wrk_errors]} requests failed; the server's logs are in $data"
}

# Takes the server's peak memory so far, which includes making the users and the chats.
take_memory() {
    take "$1" awk '/^VmHWM:/ { printf "memory_peak %.1f MB\n", $2 / 1024 }
                   /^VmRSS:/ { printf "memory_now %.1f MB\n", $2 / 1024 }' "/proc/$server_pid/status"
}

# Checks the ledger: the speed does not count if a balance is wrong.
verify() {
    "$server" verify --database-url "$database_url" >&2 || die "tollgate verify found damage after the load"
}

# Prints the bytes that the server has had written to disks since it started.
bytes_written() { awk '/^write_bytes:/ { print $2 }' "/proc/$server_pid/io"; }

# Removes the database and its index.
remove_database() { rm -f "$data"/tollgate.db* "$data"/tollgate-index.db*; }

stop_server() {
    stop "$server_pid" || die "the server ended with code $?; its log is $server_log"
}
