# Used by all parts of scripts/bench: messages, programs, the build, figures. Sourced by
# scripts/bench.
# shellcheck shell=bash

children=() # the process ids that were started and not yet stopped

say() { echo "bench: $1" >&2; }

die() {
    say "$1"
    exit "${2:-1}"
}

need_programs() {
    local packages=()
    command -v wrk >/dev/null || packages+=(wrk)
    local wanted=""
    if [[ " $* " == *postgres* || " $* " == *upstream* ]]; then wanted=postgresql; fi
    if [ -n "$wanted" ] && ! find_postgres; then packages+=("$wanted"); fi
    [ ${#packages[@]} -gt 0 ] || return 0

    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        as_root=(sudo -n)
        sudo -n true 2>/dev/null || die "missing: ${packages[*]}. Install them, or run this as root or with sudo."
    fi
    command -v apt-get >/dev/null || die "missing: ${packages[*]}. This machine has no apt-get to install them."
    say "installing Debian packages: ${packages[*]}"
    "${as_root[@]}" apt-get update -q >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${packages[@]}" >&2
    command -v wrk >/dev/null || die "wrk is still missing"
    if [ -n "$wanted" ]; then find_postgres || die "PostgreSQL is still missing"; fi
}

# Builds the server and the bench binaries. Their names contain a hash that only cargo knows.
build() {
    say "building"
    local messages name
    messages=$(cargo build --release --bin tollgate --bench raw_sqlite --bench bare_actix --bench load --bench panel --bench upstream \
        --bench costs \
        --message-format=json-render-diagnostics)
    for name in tollgate raw_sqlite bare_actix load panel upstream costs; do
        local path
        path=$(grep "\"name\":\"$name\"" <<<"$messages" | grep -o '"executable":"[^"]*"' | tail -n 1 | cut -d '"' -f 4)
        [ -x "$path" ] || die "cargo built no $name"
        case $name in
            tollgate) server=$path ;;
            *) printf -v "$name" '%s' "$path" ;;
        esac
    done
}

# Refuses a file system in memory, where a sync costs nothing.
prepare_data() {
    mkdir -p "$data"
    data=$(cd "$data" && pwd)
    case $(stat -f -c %T "$data") in
        tmpfs | ramfs) die "$data is in memory: set BENCH_DATA to a folder on a disk" ;;
    esac
    rm -f "$data"/*.db* "$data"/*.log "$data"/tokens.txt
}

# Measures the share of the cores that other processes use, for two seconds in which the benches do
# nothing. Keeps the largest in $others.
watch_others() {
    local share
    share=$({ head -n 1 /proc/stat && sleep 2 && head -n 1 /proc/stat; } | awk '
        # user nice system idle iowait irq softirq steal
        { all = 0; for (i = 2; i <= 9; i++) all += $i; idle = $5 + $6 }
        NR == 1 { all_before = all; idle_before = idle }
        END { printf "%d", 100 - 100 * (idle - idle_before) / (all - all_before) }')
    if [ "$share" -gt "$others" ]; then others=$share; fi
    [ "$share" -lt 10 ] || say "other processes use $share % of the cores: the figures will be off"
}

# take PREFIX COMMAND...: runs a command and keeps its "name value unit" lines as figures. It may
# print other lines.
take() {
    local prefix=$1 output name value unit
    shift
    output=$("$@") || die "failed: $*"
    while read -r name value unit; do
        [[ $value =~ ^-?[0-9]+(\.[0-9]+)?$ && $name =~ ^[a-z_0-9]+$ ]] || continue
        name=$prefix${name#"$prefix"}
        figure[$name]=$value
        echo "    $name $value $unit" >&2
    done <<<"$output"
}

# start_in_background LOG COMMAND...: puts the process id into $started. clean_up stops the process.
start_in_background() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    started=$!
    children+=("$started")
}

# wait_until_listening PID LOG: prints the URL once the server logs that it listens.
wait_until_listening() {
    local pid=$1 log=$2 url
    for _ in $(seq 300); do
        url=$(grep -a -m 1 -o 'listening on http://[^ ]*' "$log" | cut -d ' ' -f 3 || true)
        if [ -n "$url" ]; then
            echo "$url"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 5 "$log" >&2
    die "it does not listen; its log is $log"
}

# Asks a process to stop and waits for it. Returns its exit code.
stop() {
    local pid=$1 code=0 index
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || code=$?
    for index in "${!children[@]}"; do
        [ "${children[index]}" != "$pid" ] || unset 'children[index]'
    done
    return "$code"
}

clean_up() {
    local pid
    for pid in "${children[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    stop_cluster
}
