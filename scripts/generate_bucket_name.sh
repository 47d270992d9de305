#!/usr/bin/env bash
# Prints the name that the state bucket of a stack has: with account and region in it, as buckets share one namespace
# over all accounts and regions. Whether there is such a bucket is not looked at.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/stack.sh
source "$root/scripts/lib/stack.sh"

usage() {
    cat << 'END'
usage: scripts/generate_bucket_name.sh [OPTION …]

Prints <prefix>-tfstate-<account>-<region>.

  --prefix NAME     default $PROJECT_NAME, or else exe-sys
  --region REGION   default $AWS_REGION, or else $AWS_DEFAULT_REGION
  --account ID      default the account of the credentials, which AWS is asked for
END
}

prefix=${PROJECT_NAME:-exe-sys} region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}} account=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit ;;
        --prefix)
            prefix=$(value "$@")
            shift
            ;;
        --region)
            region=$(value "$@")
            shift
            ;;
        --account)
            account=$(value "$@")
            shift
            ;;
        *) wrong "\`$1\` is no option" ;;
    esac
    shift
done
check_prefix "$prefix"
[ -n "$region" ] || wrong "a region is needed: --region, or AWS_REGION in the environment"
check_region "$region"
if [ -z "$account" ]; then
    need_program aws "install the AWS CLI, or give --account"
    # In that region, as other partitions (China, GovCloud) have accounts of their own.
    account=$(AWS_REGION=$region AWS_DEFAULT_REGION=$region current_account)
fi
check_account "$account"

name=$prefix-tfstate-$account-$region
# S3 takes 63. Only a region of a name longer than any today's could make it longer.
[ ${#name} -le 63 ] || wrong "the name $name has ${#name} characters, and S3 takes 63; choose a shorter prefix"
echo "$name"
