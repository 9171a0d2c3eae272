#!/usr/bin/env bash
# Tests earshot with the lowest versions that pyproject.toml allows of what faces the network, in
# .venv-lowest, with .venv's Python; `make test-lowest` calls it. Arguments reach pytest.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=.venv-lowest
mkdir -p build
.venv/bin/python -m tests.support.lowest_versions >build/lowest.txt
key=$({ cat pyproject.toml build/lowest.txt tests/support/lowest.sh; pwd; readlink -f .venv/bin/python; } |
  sha256sum | cut -c1-16)
if [[ ! -e $venv/.ready-$key ]]; then
  echo "earshot: installing the lowest versions into $venv, once" >&2
  .venv/bin/python -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    -c build/lowest.txt -e ".[dev]"
  touch "$venv/.ready-$key"
fi
# by what they are about: whatever runs, asks or is asked over HTTP, and whatever speaks to Redis
exec "$venv/bin/python" -m pytest tests/unit tests/integration -m "not full" \
  -k "dashboard or standin or job or transcribe or connection or redis or link or llm" "$@"
