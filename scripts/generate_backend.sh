#!/usr/bin/env bash
# Prints where a module's state is, as `terraform init -backend-config=FILE` takes it. What a state bucket has to be
# like is infra/00-bootstrap/state.tf.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/stack.sh
source "$root/scripts/lib/stack.sh"

usage() {
    cat << 'END'
usage: scripts/generate_backend.sh BUCKET STAGE REGION

Prints the backend's settings for Terraform or OpenTofu:

    scripts/generate_backend.sh BUCKET 02-deploy REGION > backend.hcl
    terraform -chdir=infra/02-deploy init -backend-config=../../backend.hcl

  BUCKET   the state bucket, see scripts/generate_bucket_name.sh
  STAGE    the module in infra/: 00-bootstrap, 01-ecr or 02-deploy
  REGION   the bucket's region
END
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# = 3 ] || wrong "BUCKET, STAGE and REGION are needed, and no more; there are $# arguments"
check_bucket "$1"
case $2 in
    00-bootstrap | 01-ecr | 02-deploy) ;;
    *) wrong "the stage \`$2\` must be 00-bootstrap, 01-ecr or 02-deploy" ;;
esac
check_region "$3"

# The lock is an object beside the state: Terraform's own way since 1.10, without a table.
cat << END
bucket       = "$1"
key          = "$2/terraform.tfstate"
region       = "$3"
encrypt      = true
use_lockfile = true
END
