#!/usr/bin/env bash
# Runs examples/secrets.yaml with a parameter from a variable and a secret from a file. Values are never arguments: other
# users of a machine can read those.
# AWS_EXE names the binary; without it cargo builds and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${AWS_EXE:-}" ]; then exe=("$AWS_EXE"); else exe=(cargo run --quiet --); fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '{"DB_USER": "app_user", "DB_PASSWORD": "correct horse battery staple"}' > "$work/database.json"
export TOKEN=made-up-token-4711

"${exe[@]}" run examples/secrets.yaml \
    --parameter /example/deploy-token=env:TOKEN \
    --secret example/database=@"$work/database.json"
