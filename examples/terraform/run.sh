#!/usr/bin/env bash
# Applies the configuration beside this script by a job of four orders, with `terraform` or `tofu`, whichever is here.
# AWS_EXE names the binary; without it cargo builds and runs it.
set -euo pipefail
cd "$(dirname "$0")/../.."
if [ -n "${AWS_EXE:-}" ]; then exe=("$AWS_EXE"); else exe=(cargo run --quiet --); fi

if ! terraform=$(command -v terraform || command -v tofu); then
    echo "neither terraform nor tofu is installed: nothing to run"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
repository=$work/repository
mkdir "$repository" "$work/state"
cp examples/terraform/main.tf "$repository"
git -C "$repository" init --quiet
git -C "$repository" add .
git -C "$repository" -c user.name=example -c user.email=example@example.invalid -c commit.gpgsign=false \
    commit --quiet --message "A greeting"

sed -e "s|/example/repository|$repository|" -e "s|/example/state|$work/state|" -e "s|/example/terraform|$terraform|" \
    examples/terraform/job.yaml > "$work/job.yaml"
"${exe[@]}" run "$work/job.yaml"

echo "the state that the orders left:"
"$terraform" output -no-color -state="$work/state/terraform.tfstate"
