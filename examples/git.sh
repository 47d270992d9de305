#!/usr/bin/env bash
# Makes a small git repository in a temporary folder and runs examples/git.json against it.
# AWS_EXE names the binary; without it cargo builds and runs it.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${AWS_EXE:-}" ]; then exe=("$AWS_EXE"); else exe=(cargo run --quiet --); fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
repository=$work/repository

# An identity of its own, so that the example works without one and leaves yours alone.
git() {
    command git -C "$repository" -c user.name=example -c user.email=example@example.invalid -c commit.gpgsign=false "$@"
}

mkdir -p "$repository/services/api"
git init --quiet
echo "version 1" > "$repository/version.txt"
git add .
git commit --quiet --message "Version 1"
git tag v1
echo "version 2" > "$repository/version.txt"
echo "the api" > "$repository/services/api/name.txt"
# $1 is for the script that is written, not for this one.
# shellcheck disable=SC2016
echo 'echo "hello from the $1 commit"' > "$repository/greet.sh"
git add .
git commit --quiet --message "Version 2"

sed "s|/example/repository|$repository|" examples/git.json > "$work/job.json"
"${exe[@]}" run "$work/job.json"
