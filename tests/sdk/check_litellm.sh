#!/usr/bin/env bash
# Starts LiteLLM's proxy for check_litellm.py. Its settings are in config.yaml.
set -euo pipefail

# The price list is elsewhere on the network.
export LITELLM_LOCAL_MODEL_COST_MAP=True LITELLM_MASTER_KEY=sk-check-0123456789abcdef0123456789abcdef
exec litellm --config config.yaml --host 127.0.0.1 --port "$PORT"
