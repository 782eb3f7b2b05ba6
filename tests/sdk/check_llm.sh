#!/usr/bin/env bash
# Uses only the program `llm`, like check.py. Its settings are in LLM_USER_PATH.
set -euo pipefail

cat >"$LLM_USER_PATH/extra-openai-models.yaml" <<YAML
- model_id: tollgate
  model_name: smollm2-135m
  api_base: $OPENAI_BASE_URL
  api_key_name: tollgate
YAML
llm keys set tollgate --value "$OPENAI_API_KEY"
ask() { llm -m tollgate -o max_tokens 12 -o temperature 0 "$@"; }
[ -n "$(ask 'Say hello.')" ]
[ -n "$(ask --no-stream --system 'You are terse.' 'Say hello.')" ]
[ -n "$(ask --continue 'Say it again.')" ]

if refusal=$(llm -m tollgate --key "$EMPTY_KEY" 'Say hello.' 2>&1); then
    echo "expected a refusal: $refusal" >&2
    exit 1
fi
case $refusal in
*402*) ;;
*)
    echo "the refusal has no 402: $refusal" >&2
    exit 1
    ;;
esac

# Prints the usage that it logged for each answer.
llm logs --json --count 0 | python3 -c '
import json, sys
answers = sorted(json.load(sys.stdin), key=lambda answer: answer["datetime_utc"])
print(json.dumps([[answer["input_tokens"], answer["output_tokens"]] for answer in answers]))'
