#!/usr/bin/env bash
# install.sh NAME: installs these client programs in the user's cache folder, once, and prints the
# folder. Exits with 3 if the machine lacks something for that, and says what. The versions are also
# in docs/clients.md; a test compares them.
set -euo pipefail

case $1 in
python) packages='openai==3.54.0 anthropic==2.14.0 langchain-openai==1.7.3 langchain-anthropic==1.7.10 openai-agents==0.24.0 openresponses-types==2.4.0 llm==0.36 requests==2.34.2' ;;
llamaindex) packages='llama-index-core==0.14.25 llama-index-llms-openai-like==0.8.1 llama-index-llms-openai==0.8.3 llama-index-embeddings-openai==0.7.0' ;;
pydantic-ai) packages='pydantic-ai-slim[openai,anthropic]==2.68.0' ;;
mirascope) packages='mirascope[openai,anthropic]==2.8.2' ;;
inspect-ai) packages='inspect-ai==0.3.285 openai==3.54.0 anthropic==2.14.0' ;;
aider) packages='aider-chat==0.86.2' ;;
litellm) packages='litellm[proxy]==1.106.12' ;;
open-webui) packages='open-webui==0.12.4' ;;
node) packages='openai@6.49.0 @anthropic-ai/sdk@1.14.0 @openai/agents@0.14.3 zod@4.6.7 ai@6.0.325 @ai-sdk/openai-compatible@2.0.92 @ai-sdk/openai@3.0.141 @ai-sdk/anthropic@3.0.140' ;;
opencode) packages='opencode-ai@1.18.33' ;;
codex) packages='@openai/codex@0.171.0' ;;
claude-code) packages='@anthropic-ai/claude-code@2.1.332' ;;
*) echo "install.sh: there is nothing called $1" >&2 && exit 2 ;;
esac
case $1 in
node | opencode | codex | claude-code) language=node ;;
*) language=python ;;
esac

lack() {
    printf '%s\n' "$*" >&2
    exit 3
}
[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || lack "neither XDG_CACHE_HOME nor HOME is set"
place=${XDG_CACHE_HOME:-$HOME/.cache}/tollgate/sdk-$1

# Starts what was installed: what an older version of Python installed does not work with a newer one.
works() {
    case $1 in
    python) "$place/bin/python" -c 'import openai, anthropic, langchain_openai, langchain_anthropic, agents, openresponses_types, llm, requests' ;;
    llamaindex) "$place/bin/python" -c 'import llama_index.llms.openai_like, llama_index.embeddings.openai' ;;
    pydantic-ai) "$place/bin/python" -c 'import pydantic_ai.models.openai, pydantic_ai.models.anthropic' ;;
    mirascope) "$place/bin/python" -c 'import mirascope, openai, anthropic' ;;
    inspect-ai) "$place/bin/python" -c 'import inspect_ai, openai, anthropic' ;;
    aider) "$place/bin/python" -c 'import aider' ;;
    litellm) "$place/bin/python" -c 'import litellm' ;;
    # Its import alone would create files.
    open-webui) "$place/bin/python" -c 'import fastapi, sqlalchemy' ;;
    node) (cd "$place" && node -e 'for (const name of ["openai", "@anthropic-ai/sdk", "@openai/agents", "ai", "@ai-sdk/openai-compatible"]) require(name)') ;;
    opencode | codex) "$place/bin/$1" --version >&2 ;;
    claude-code) "$place/bin/claude" --version >&2 ;;
    esac 2>/dev/null
}
is_ready() { [ "$(cat "$place/complete" 2>/dev/null)" = "$packages" ] && works "$1"; }

# Prints the first Python on the PATH that these packages accept: up to which 3.x they go is in
# their metadata.
find_python() {
    local newest=99 oldest=10 python
    case $1 in
    aider | open-webui) newest=12 ;;&
    open-webui | pydantic-ai | python) oldest=11 ;;
    esac
    for python in python3 python3.12 python3.11; do
        if "$python" -c "import sys, ensurepip, venv; sys.exit(not (3, $oldest) <= sys.version_info[:2] <= (3, $newest))" 2>/dev/null; then
            printf '%s' "$python"
            return
        fi
    done
    [ "$newest" = 99 ] || lack "$1 needs Python 3.$oldest to 3.$newest with venv"
    lack "Python 3.$oldest or newer with venv: on Debian: apt-get install python3-venv"
}

# shellcheck disable=SC2086 # $packages are several words
install_python() {
    local python
    python=$(find_python "$1")
    "$python" -m venv "$place"
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
    case $1 in
    opencode) link "$place"/node_modules/opencode-linux-*/bin/opencode ;;
    codex) link "$place/node_modules/.bin/codex" ;;
    claude-code) link "$place"/node_modules/@anthropic-ai/claude-code-linux-*/claude ;;
    esac
}
# Makes the program a command. Some packages have one for each kind of processor; a script, which does
# not run here, would copy the right one. The longest name is that of the program for old processors,
# which runs on all.
link() {
    local program
    program=$(printf '%s\n' "$@" | awk '{ print length, $0 }' | sort -rn | head -n 1 | cut -d' ' -f2-)
    mkdir -p "$place/bin"
    ln -s "$program" "$place/bin/${program##*/}"
}

if ! is_ready "$1"; then
    mkdir -p "${place%/*}"
    exec 9>"$place.lock"
    flock 9
    if ! is_ready "$1"; then
        rm -rf "$place"
        "install_$language" "$1"
        # Written last, so that an interrupted installation is repeated.
        printf '%s' "$packages" >"$place/complete"
    fi
fi
printf '%s\n' "$place"
