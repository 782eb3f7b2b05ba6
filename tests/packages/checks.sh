# What the scripts of this folder report, and how they fail.

# figure WHAT FIGURES: reports figures to the test, which passes them on.
figure() { printf 'FIGURE %s|%s\n' "$1" "$2"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

# expect WHAT FOUND WANTED: fails unless both are equal.
expect() { [ "$2" = "$3" ] || fail "$1: found $2, wanted $3"; }

# holds WHAT COMMAND...: fails unless the command succeeds.
holds() {
    local what=$1
    shift
    "$@" >/dev/null || fail "$what"
}

# lacks WHAT COMMAND...: fails if the command succeeds.
lacks() {
    local what=$1
    shift
    ! "$@" >/dev/null 2>&1 || fail "$what"
}

# Prints the seconds between two times of `date +%s%N`.
seconds_between() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f", (to - from) / 1e9 }'; }

# Prints a size in MB, to one decimal.
megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1e6 }'; }
