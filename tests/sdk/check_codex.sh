#!/usr/bin/env bash
# Sends one message with Codex, in a project of its own. Its settings are in .codex/config.toml. The
# argument is the step.
set -euo pipefail

mkdir project
cd project
git init --quiet
question='Say hello.' options=()
case $1 in
tools) question='How is the weather in Oslo?' ;;
structured)
    question='Describe Oslo.' options=(--output-schema town.json)
    cat >town.json <<'JSON'
{
  "type": "object",
  "properties": { "town": { "type": "string" }, "degrees": { "type": "integer" } },
  "required": ["town", "degrees"],
  "additionalProperties": false
}
JSON
    ;;
cut) question='Cut it short.' ;;
esac
# It ends with an error after a refusal, and says why on standard error.
codex exec "${options[@]}" "$question" 2>&1 || echo "failed: $?"
