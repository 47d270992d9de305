#!/usr/bin/env bash
# Marks an image as deployed, by one more tag: the lifecycle policy of infra/01-ecr keeps what has such a tag, however
# many images are pushed after it. Whoever deploys calls this before functions are given the image.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/stack.sh
source "$root/scripts/lib/stack.sh"

usage() {
    cat << 'END'
usage: scripts/mark_deployed.sh REPOSITORY TAG STAGE REGION

Gives the image REPOSITORY:TAG the tag deployed-STAGE-TAG too. That it has it already is fine.

  REPOSITORY   name of the repository, as exe-sys
  TAG          a tag that the image has; not `latest`
  STAGE        where it is deployed, as dev, staging or prod
  REGION       the repository's region
END
}

case ${1:-} in -h | --help) usage && exit ;; esac
[ $# = 4 ] || wrong "REPOSITORY, TAG, STAGE and REGION are needed, and no more; there are $# arguments"
repository=$1 tag=$2 stage=$3 region=$4
[[ $repository =~ ^[a-z0-9]+([._/-][a-z0-9]+)*$ ]] || wrong "the repository \`$repository\` must be a name, without registry and tag"
check_tag "$tag"
check_stage "$stage"
check_region "$region"
mark=deployed-$stage-$tag
[ ${#mark} -le 128 ] || wrong "the tag $mark would have ${#mark} characters, and the registry takes 128"
need_program aws "install the AWS CLI"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
found=$(aws ecr batch-get-image --repository-name "$repository" --image-ids "imageTag=$tag" --output text \
    --query 'images[0].[imageId.imageDigest, imageManifestMediaType]')
[[ $found =~ ^(sha256:[0-9a-f]+)[[:space:]]+([^[:space:]]+)$ ]] || give_up "there is no image $repository:$tag in $region"
digest=${BASH_REMATCH[1]} kind=${BASH_REMATCH[2]}
# The manifest byte for byte: an image's identity is the hash of just this, and the registry compares the two. The
# command substitution takes away the line end that the CLI adds.
manifest=$(aws ecr batch-get-image --repository-name "$repository" --image-ids "imageTag=$tag" --output text \
    --query 'images[0].imageManifest')
printf '%s' "$manifest" > "$scratch/manifest"
if said=$(aws ecr put-image --repository-name "$repository" --image-tag "$mark" --image-manifest "file://$scratch/manifest" \
    --image-manifest-media-type "$kind" --image-digest "$digest" 2>&1); then
    say "marked $repository:$tag as $mark"
else
    case $said in
        # Tags are immutable: with the same image under it the tag was put by an earlier deployment.
        *ImageAlreadyExistsException*) say "$repository:$tag is marked as $mark already" ;;
        *) give_up "failed to mark $repository:$tag as $mark: $said" ;;
    esac
fi
