#!/usr/bin/env bash
# Runs tests/smoke/smoke.py with what it needs: boto3, pinned, and the outputs of the stack, which are read from its state.
# What is tried is said there.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib/python_tools.sh
source scripts/lib/python_tools.sh

usage() {
    cat << 'EOF'
Usage: scripts/smoke_test.sh STATE_BUCKET REGION [ARGUMENT OF smoke.py …]
       scripts/smoke_test.sh --local AWS_EXE

Tries out the stack whose state is in STATE_BUCKET, or the embedded AWS of a built binary. Of the arguments of smoke.py,
`--image-tag TAG` asks that all runs this image, and `--only functions,project` makes only these looks.

Needs python3 with venv; for a stack also Terraform or OpenTofu (TERRAFORM names it) and credentials.
EOF
}

fail() {
    echo "error: $*" >&2
    exit 1
}

case ${1:-} in --help | -h) usage && exit ;; esac
[ $# -ge 2 ] || fail "STATE_BUCKET and REGION are needed, or --local and a binary; see --help"
target=${CARGO_TARGET_DIR:-$PWD/target}
mkdir -p "$target/smoke"
target=$(cd "$target/smoke" && pwd)
python_tools "$target/venv" scripts/requirements/smoke.txt
if [ "$1" = --local ]; then
    [ $# = 2 ] || fail "--local takes a binary and nothing else; see --help"
    exec "$target/venv/bin/python" tests/smoke/smoke.py --local "$2"
fi

bucket=$1 region=$2
shift 2
terraform=${TERRAFORM:-terraform}
command -v "$terraform" > /dev/null || fail "\`$terraform\` is missing; install Terraform or OpenTofu 1.10 or later, or name it by TERRAFORM"
scripts/generate_backend.sh "$bucket" 02-deploy "$region" > "$target/backend.hcl"
# A folder of its own for what Terraform notes, as another stack may be worked on in the same clone.
export TF_DATA_DIR=$target/terraform TF_IN_AUTOMATION=1
"$terraform" -chdir=infra/02-deploy init -input=false -reconfigure "-backend-config=$target/backend.hcl" >&2
"$terraform" -chdir=infra/02-deploy output -json > "$target/outputs.json"
exec "$target/venv/bin/python" tests/smoke/smoke.py --stack "$target/outputs.json" "$@"
