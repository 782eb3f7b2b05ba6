# Times the panel's pages with a large database, which is filled once and kept. Sourced by
# scripts/bench.
# shellcheck shell=bash disable=SC2154

panel_users=${BENCH_PANEL_USERS:-1000000}
panel_chats=${BENCH_PANEL_CHATS:-10000000}
panel_data=${BENCH_PANEL_DATA:-target/bench-data-panel}

measure_panel-sqlite() {
    prepare_panel sqlite
    local file=$panel_data/tollgate.db
    if [ ! -f "$panel_data/sqlite.shape" ]; then
        rm -f "$file"*
        say "filling SQLite with $panel_users users and $panel_chats chats; this takes minutes"
        "$server" migrate --database-url "$file" 2>/dev/null
        nice "$panel" fill "$file" "$panel_users" "$panel_chats" "$panel_end"
        make_superuser "$file"
        say "building the index"
        "$server" reindex --database-url "$file" >&2
        "$server" verify --database-url "$file" >&2 || die "the fill does not balance"
        echo "$panel_shape@$panel_end" >"$panel_data/sqlite.shape"
    fi
    time_panel sqlite "$file"
}

measure_panel-postgres() {
    prepare_panel postgres
    local url="postgres://bench@localhost/tollgate?host="
    if [ ! -f "$panel_data/postgres.shape" ]; then
        make_cluster "$panel_data/postgres"
        # If the fill is interrupted, the next run starts it again.
        run_cluster -c fsync=off -c max_wal_size=8GB -c maintenance_work_mem=1GB
        "$pg_bin/createdb" tollgate
        say "filling PostgreSQL with $panel_users users and $panel_chats chats; this takes minutes"
        "$server" migrate --database-url "$url$pg_sockets" 2>/dev/null
        nice "$panel" script "$panel_users" "$panel_chats" "$panel_end" |
            "$pg_bin/psql" -qX -v ON_ERROR_STOP=1 -d tollgate >/dev/null
        make_superuser "$url$pg_sockets"
        "$server" verify --database-url "$url$pg_sockets" >&2 || die "the fill does not balance"
        halt_cluster
        echo "$panel_shape@$panel_end" >"$panel_data/postgres.shape"
    fi
    open_cluster "$panel_data/postgres"
    run_cluster
    time_panel postgres "$url$pg_sockets"
    halt_cluster
}

# Reuses a database that was filled earlier with the same shape. Its rows end at the time of that
# fill.
prepare_panel() {
    mkdir -p "$panel_data"
    panel_data=$(cd "$panel_data" && pwd)
    case $(stat -f -c %T "$panel_data") in
        tmpfs | ramfs) die "$panel_data is in memory: set BENCH_PANEL_DATA to a folder on a disk" ;;
    esac
    local migrations kept=$panel_data/$1.shape
    migrations=$(cat migrations/"$1"/*/up.sql benches/panel/{shape,words,rows}.rs | cksum | cut -d ' ' -f 1)
    panel_shape="$panel_users users, $panel_chats chats, $migrations"
    panel_end=$(date -u +%Y-%m-%dT%H:%M:%S)
    [ -f "$kept" ] || return 0
    if [ "$(cut -d '@' -f 1 "$kept")" = "$panel_shape" ]; then
        panel_end=$(cut -d '@' -f 2 "$kept")
    else
        rm -f "$kept"
    fi
}

make_superuser() {
    echo "seven brown otters at noon" | "$server" createsuperuser --username panelbench --password-stdin \
        --bcrypt-cost 4 --database-url "$1" >/dev/null 2>&1
}

# time_panel NAME DATABASE_URL
time_panel() {
    server_log=$panel_data/$1.log
    start_in_background "$server_log" "$server" serve --bind 127.0.0.1:0 --database-url "$2" --throttle off --bcrypt-cost 4
    server_pid=$started
    server_url=$(wait_until_listening "$server_pid" "$server_log")
    say "timing the panel's pages on $1"
    "$panel" time "$server_url" "$server_pid" "$panel_users" "$panel_chats" "$panel_end" "$panel_data/$1.tsv"
    stop_server
}

report_panel() {
    echo "# Results of the panel"
    echo
    echo "Written by \`scripts/bench panel\`; [README.md](README.md) says how to read it. $panel_users users and $panel_chats chats."
    echo
    stamp
    echo "- Times in ms, from the request to the last byte, median and worst of 7. *part*: the databases where the page shows only part of the list, because its search ended at the work limit"
    echo
    "$panel" table "$panel_data/sqlite.tsv" "$panel_data/postgres.tsv"
}
