#!/usr/bin/env bash
# Starts Open WebUI for check_open_webui.py. The settings from docs/clients.md come before these
# lines.
set -euo pipefail

# No sign-in, and nothing from the network, such as models that find passages in documents.
export WEBUI_AUTH=False OFFLINE_MODE=True RAG_EMBEDDING_ENGINE=openai DATA_DIR="$HOME/data" WEBUI_SECRET_KEY=secret
exec open-webui serve --host 127.0.0.1 --port "$PORT"
