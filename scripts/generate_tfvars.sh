#!/usr/bin/env bash
# Prints what infra/02-deploy has to be told in any case: which image, where, under which names. All else that can be
# chosen there has defaults, and belongs into a file of one's own.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/stack.sh
source "$root/scripts/lib/stack.sh"

usage() {
    cat << 'END'
usage: scripts/generate_tfvars.sh ECR_URL TAG REGION [OPTION …]

Prints variables for infra/02-deploy:

    scripts/generate_tfvars.sh ECR_URL TAG REGION > stack.tfvars
    terraform -chdir=infra/02-deploy plan -var-file=../../stack.tfvars

  ECR_URL   the repository of the image, 123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys
  TAG       the image's tag; not `latest`
  REGION    where everything is deployed to: the repository's region, Lambda takes no other

  --prefix NAME                  first part of all names; default $PROJECT_NAME, or else exe-sys
  --architecture ARCHITECTURE    x86_64 (default) or arm64: what the image was built for
  --permissions-boundary ARN     boundary of all roles, which the deploy role of infra/00-bootstrap asks for
END
}

prefix=${PROJECT_NAME:-exe-sys} architecture=x86_64 boundary=
positional=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage && exit ;;
        --prefix)
            prefix=$(value "$@")
            shift
            ;;
        --architecture)
            architecture=$(value "$@")
            shift
            ;;
        --permissions-boundary)
            boundary=$(value "$@")
            shift
            ;;
        -*) wrong "\`$1\` is no option" ;;
        *) positional+=("$1") ;;
    esac
    shift
done
[ ${#positional[@]} = 3 ] || wrong "ECR_URL, TAG and REGION are needed, and no more; there are ${#positional[@]} arguments"
ecr_url=${positional[0]} tag=${positional[1]} region=${positional[2]}
check_ecr_url "$ecr_url"
check_tag "$tag"
check_region "$region"
check_prefix "$prefix"
[[ $ecr_url == *.ecr."$region".amazonaws.* ]] ||
    wrong "the repository $ecr_url is not in $region; Lambda takes images of its own region only"
case $architecture in
    x86_64 | arm64) ;;
    *) wrong "the architecture \`$architecture\` must be x86_64 or arm64" ;;
esac
if [ -n "$boundary" ] && [[ ! $boundary =~ ^arn:aws[a-z-]*:iam::[0-9]{12}:policy/[A-Za-z0-9_+=,.@/-]+$ ]]; then
    wrong "the permissions boundary \`$boundary\` must be the ARN of a policy"
fi

cat << END
prefix               = "$prefix"
region               = "$region"
image_repository_url = "$ecr_url"
image_tag            = "$tag"
architecture         = "$architecture"
END
if [ -n "$boundary" ]; then
    printf 'permissions_boundary_arn = "%s"\n' "$boundary"
fi
