#!/usr/bin/env bash
# Sends one message, the argument, with aider, in a project of its own. Its settings are in
# .aider.conf.yml.
set -euo pipefail

export GIT_CONFIG_GLOBAL="$HOME/gitconfig"
git config --file "$GIT_CONFIG_GLOBAL" user.email ada@example.org
git config --file "$GIT_CONFIG_GLOBAL" user.name Ada
mkdir project
cd project
git init --quiet
echo hello >hello.txt
git add hello.txt
git commit --quiet --message 'Say hello'
aider --yes-always --no-check-update --analytics-disable --no-gitignore --no-pretty --no-fancy-input \
    --message "$1" hello.txt
printf 'The last commit: %s\n' "$(git log -1 --format=%s)"
