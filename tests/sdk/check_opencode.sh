#!/usr/bin/env bash
# Sends messages with opencode, in a project of its own. Its settings are in opencode.json.
set -euo pipefail

export OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_LSP_DOWNLOAD=1
cd project
git init --quiet
# It ends with an error after a refusal, and says why on standard error.
opencode run 'Say hello.' 2>&1 || true
case $1 in
session) opencode run --continue 'Say it again.' 2>&1 ;;
esac
