#!/usr/bin/env bash
# Keeps what it takes to remove a stack later, beside its state: Terraform, scripts and names as they were deployed. So a
# stack can be removed by whoever has the account, also when the repository is gone or has moved on.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
cd "$(dirname "$0")/.."

usage() {
    cat << 'EOF'
Usage: scripts/archive_teardown.sh STATE_BUCKET REGION PREFIX STAGE

Puts archive/teardown-STAGE.tar.gz into the state bucket: the committed infra/ and scripts/, and TEARDOWN.txt, which says
how to use them. The bucket keeps older versions.

Needs git and the AWS CLI with credentials.
EOF
}

fail() {
    echo "error: $*" >&2
    exit 1
}

case ${1:-} in --help | -h) usage && exit ;; esac
[ $# = 4 ] || fail "STATE_BUCKET, REGION, PREFIX and STAGE are needed, and no more; see --help"
bucket=$1 region=$2 prefix=$3 stage=$4
[[ $bucket =~ ^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$ ]] || fail "\`$bucket\` is no name of a bucket"
[[ $region =~ ^[a-z]{2}(-[a-z]+)+-[0-9]$ ]] || fail "the region \`$region\` must look like eu-west-1"
[[ $prefix =~ ^[a-z][a-z0-9-]{1,22}[a-z0-9]$ ]] || fail "the prefix \`$prefix\` must be 3 to 24 of a-z, 0-9 and hyphens"
[[ $stage =~ ^[a-z0-9]{1,20}$ ]] || fail "the stage \`$stage\` must be 1 to 20 of a-z and 0-9, as dev, staging or prod"

commit=$(git rev-parse HEAD)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/tree"
# What is committed, so that nothing that lies about gets in.
git archive "$commit" infra scripts LICENSE | tar -x -C "$scratch/tree"
cat > "$scratch/tree/TEARDOWN.txt" << EOF
The stack \`$prefix\` ($stage) in $region, as it was deployed from commit $commit.

To remove it, with credentials that may, Terraform or OpenTofu 1.10 or later, and the AWS CLI:

    scripts/teardown.sh --prefix $prefix --region $region --state-bucket $bucket

It asks before it removes anything, and says what stays.
EOF
tar -czf "$scratch/teardown.tar.gz" -C "$scratch/tree" .
aws s3 cp --only-show-errors --region "$region" "$scratch/teardown.tar.gz" "s3://$bucket/archive/teardown-$stage.tar.gz"
echo "s3://$bucket/archive/teardown-$stage.tar.gz"
