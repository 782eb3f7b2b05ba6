#!/usr/bin/env bash
# Installs schemathesis and a validator of OpenAPI documents in the user's cache folder, once, and
# prints the folder. Exits with 3 if the machine lacks something for that, and says what.
set -euo pipefail

packages='schemathesis==4.32.5 openapi-spec-validator==0.9.0'

lack() {
    printf '%s\n' "$*" >&2
    exit 3
}
[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || lack "neither XDG_CACHE_HOME nor HOME is set"
place=${XDG_CACHE_HOME:-$HOME/.cache}/tollgate/openapi

# What an older version of Python installed does not work with a newer one.
is_ready() {
    [ "$(cat "$place/complete" 2>/dev/null)" = "$packages" ] &&
        "$place/bin/python" -c 'import schemathesis, openapi_spec_validator' 2>/dev/null
}

if ! is_ready; then
    mkdir -p "${place%/*}"
    exec 9>"$place.lock"
    flock 9
    if ! is_ready; then
        python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] < (3, 10))' 2>/dev/null ||
            lack "Python 3.10 or newer with venv: on Debian: apt-get install python3-venv"
        rm -rf "$place"
        python3 -m venv "$place"
        # shellcheck disable=SC2086 # $packages are several words
        "$place/bin/python" -m pip install --quiet --disable-pip-version-check $packages >&2
        # Written last, so that an interrupted installation is repeated.
        printf '%s' "$packages" >"$place/complete"
    fi
fi
printf '%s\n' "$place"
