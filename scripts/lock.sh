#!/bin/sh
# Rewrites requirements.lock from pyproject.toml: every package that the product and its tests
# need, each pinned to one version, with no index address in the file.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}
"$uv" pip compile pyproject.toml --extra dev --python-version 3.11 \
  --no-emit-index-url --no-header --no-annotate --output-file requirements.lock "$@"
