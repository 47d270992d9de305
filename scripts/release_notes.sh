#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a release, for the page of the release. One that it says nothing of is refused.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
cd "$(dirname "$0")/.."

usage() {
    cat << 'EOF'
Usage: scripts/release_notes.sh TAG

Prints the section of CHANGELOG.md of the release TAG (v1.2.3), without its heading. Fails when there is none, when it is
empty, and when Cargo.toml has another version.
EOF
}

fail() {
    echo "error: $*" >&2
    exit 1
}

case ${1:-} in --help | -h) usage && exit ;; esac
[ $# = 1 ] || fail "a tag is needed, and no more; see --help"
[[ $1 =~ ^v([0-9]+\.[0-9]+\.[0-9]+)$ ]] || fail "the tag \`$1\` must look like v1.2.3"
version=${BASH_REMATCH[1]}

built=$(sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ "$built" = "$version" ] || fail "the tag is $1, but Cargo.toml says version $built"

notes=$(awk -v heading="## [$version]" '
    index($0, heading) == 1 { here = 1; next }
    here && /^## / { exit }
    here && /^\[[^]]*\]: / { exit }
    here { print }
' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || fail "CHANGELOG.md says nothing of $version: it needs a section \`## [$version]\`"
# Without blank lines around it.
sed -e '/./,$!d' <<< "$notes"
