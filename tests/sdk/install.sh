#!/usr/bin/env bash
# install.sh python|node: installs the SDKs of that language in the user's cache folder, once, and
# prints the folder. Exits with 3 if the machine lacks something for that, and says what.
set -euo pipefail

case $1 in
python) packages='openai==3.54.0 langchain-openai==1.7.3 llm==0.36' ;;
node) packages='openai@6.49.0' ;;
esac

lack() {
    printf '%s\n' "$*" >&2
    exit 3
}
[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || lack "neither XDG_CACHE_HOME nor HOME is set"
place=${XDG_CACHE_HOME:-$HOME/.cache}/tollgate/sdk-$1

# Imports the SDKs: those that an older version of Python installed do not work with a newer one.
works() {
    case $1 in
    python) "$place/bin/python" -c 'import openai, langchain_openai, llm' ;;
    node) (cd "$place" && node -e 'require("openai")') ;;
    esac 2>/dev/null
}
is_ready() { [ "$(cat "$place/complete" 2>/dev/null)" = "$packages" ] && works "$1"; }

# shellcheck disable=SC2086 # $packages are several words
install_python() {
    python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        lack "Python 3.10 or newer with venv: on Debian: apt-get install python3-venv"
    python3 -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check $packages >&2
}
# shellcheck disable=SC2086
install_node() {
    node -e 'process.exit(+(parseInt(process.versions.node) < 18))' 2>/dev/null && command -v npm >/dev/null ||
        lack "Node 18 or newer with npm: on Debian: apt-get install nodejs npm"
    mkdir "$place"
    # Node brings its own list of authorities. The system's may have more, such as a company's proxy.
    local system=/etc/ssl/certs/ca-certificates.crt
    [ -n "${NODE_EXTRA_CA_CERTS:-}" ] || [ ! -e "$system" ] || export NODE_EXTRA_CA_CERTS=$system
    # The --prefix says where, even if a folder above has a package.json.
    npm install --prefix "$place" --no-audit --no-fund --no-save --ignore-scripts --loglevel=error $packages >&2
}

if ! is_ready "$1"; then
    mkdir -p "${place%/*}"
    exec 9>"$place.lock"
    flock 9
    if ! is_ready "$1"; then
        rm -rf "$place"
        "install_$1"
        # Written last, so that an interrupted installation is repeated.
        printf '%s' "$packages" >"$place/complete"
    fi
fi
printf '%s\n' "$place"
