#!/usr/bin/env bash
# Sends one message with Claude Code, in a project of its own. Its settings come from the
# environment. The argument is the step.
set -euo pipefail

mkdir project
cd project
git init --quiet
question='Say hello.' options=()
case $1 in
tools) question='How is the weather in Oslo?' ;;
structured)
    question='Describe Oslo.'
    options=(--json-schema '{"type":"object","properties":{"town":{"type":"string"},"degrees":{"type":"integer"}}}')
    ;;
cut) question='Cut it short.' ;;
esac
# It ends with an error after a refusal.
claude --print "${options[@]}" "$question" 2>&1 || echo "failed: $?"
