#!/usr/bin/env bash
# Builds what is to be measured, measures it, and writes docs/BENCHMARKS.md. benches/README.md says what is measured.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat << 'END'
usage: scripts/bench.sh [--only P1,P5] [--quick] [--json FILE] [--page FILE]

Builds the release binaries, takes the measures of benches/README.md and writes docs/BENCHMARKS.md: about ten minutes
after the builds, on a machine that does nothing else.

  --only P1,P5  these measures alone (P1 to P10, and scale); the page goes to standard output
  --quick       small jobs: shows that it works; the page goes to standard output
  --json FILE   the figures as JSON as well
  --page FILE   where the page goes

environment:
  AWS_EXE       a ready release binary, instead of building one
  AWS_EXE_LEAN  a ready one for a deployment (--profile lean --no-default-features)
  PURE_BENCH    a ready benchmark of the pure parts (cargo bench --no-run -p common --bench pure)
  CARGO         the cargo to build with
END
}

give_up() {
    echo "error: $*" >&2
    exit 1
}

only=
previous=
for argument in "$@"; do
    case $argument in
        -h | --help) usage && exit ;;
        --only=*) only=${argument#--only=} ;;
    esac
    if [ "$previous" = --only ]; then only=$argument; fi
    previous=$argument
done
only=$(tr '[:lower:]' '[:upper:]' <<< "$only")

# Whether one of these measures is taken.
takes() {
    local measure
    if [ -z "$only" ]; then return 0; fi
    for measure in "$@"; do
        case ,$only, in *,"$measure",*) return 0 ;; esac
    done
    return 1
}

command -v python3 > /dev/null || give_up "\`python3\` is missing; 3.10 or later does"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    give_up "\`python3\` is $(python3 --version); 3.10 or later is needed, and may stand first in PATH"

cargo=${CARGO:-cargo}
target=${CARGO_TARGET_DIR:-target}
profile="release; lean for P7 and P10"
if [ -n "${AWS_EXE:-}${AWS_EXE_LEAN:-}${PURE_BENCH:-}" ]; then profile="as the given binaries were built"; fi

need_cargo() {
    command -v "$cargo" > /dev/null || give_up "\`$cargo\` is missing: install Rust, see https://rustup.rs"
}

if [ -z "${AWS_EXE:-}" ]; then
    need_cargo
    "$cargo" build --release --bin aws-exe
    AWS_EXE=$target/release/aws-exe
fi
if [ -z "${AWS_EXE_LEAN:-}" ] && takes P7 P10; then
    need_cargo
    "$cargo" build --profile lean -p cli --no-default-features --bin aws-exe
    AWS_EXE_LEAN=$target/lean/aws-exe
fi
if [ -z "${PURE_BENCH:-}" ] && takes P2 P9; then
    need_cargo
    PURE_BENCH=$("$cargo" bench --no-run -p common --bench pure --message-format json | python3 -c '
import json, sys
built = [json.loads(line) for line in sys.stdin if line.startswith("{")]
print(next(one["executable"] for one in built if one.get("executable") and one["target"]["name"] == "pure"))')
fi

export AWS_EXE AWS_EXE_LEAN=${AWS_EXE_LEAN:-} PURE_BENCH=${PURE_BENCH:-} BENCH_PROFILE=$profile
PYTHONPATH=benches exec python3 -m engine "$@"
