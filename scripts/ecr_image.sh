#!/usr/bin/env bash
# Brings the image of a commit into a repository of ECR, or out of it, byte for byte and never twice. Workflows use it to
# push what was built and to hand one and the same image from one environment's repository to another's. Building is
# docker/Dockerfile's part, marking what is deployed that of scripts/mark_deployed.sh.
set -euo pipefail

usage() {
    cat << 'EOF'
Usage: scripts/ecr_image.sh push FROM ECR_URL COMMIT [--latest]
       scripts/ecr_image.sh fetch ECR_URL COMMIT FOLDER

push    puts the image under the tags COMMIT and its first seven digits, with --latest also under `latest`. If the
        repository has one under COMMIT already, that one stays, and FROM is not pushed: tags are immutable, and one
        commit is one image. Prints the digest of what is there now, and whether that is `this` image or an `other`
        build of the commit.
fetch   puts the image with the tag COMMIT into FOLDER, from where it can be pushed elsewhere. Prints its digest.

  FROM      docker-archive:FILE, as buildx writes it, or dir:FOLDER, as `fetch` does
  ECR_URL   123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys
  COMMIT    40 digits

Needs the AWS CLI with credentials, and skopeo, which GitHub's runners have.
EOF
}

fail() {
    echo "error: $*" >&2
    exit 1
}

case ${1:-} in
    --help | -h) usage && exit ;;
    push)
        [ $# = 4 ] || [ $# = 5 ] || fail "push takes FROM, ECR_URL, COMMIT and maybe --latest; see --help"
        verb=push from=$2 url=$3 commit=$4 more=(-"${commit:0:7}")
        case ${5:-} in
            '') ;;
            --latest) more+=(-latest) ;;
            *) fail "\`$5\` is no option of push; see --help" ;;
        esac
        case $from in
            docker-archive:?* | dir:?*) ;;
            *) fail "\`$from\` must be docker-archive:FILE or dir:FOLDER" ;;
        esac
        ;;
    fetch)
        [ $# = 4 ] || fail "fetch takes ECR_URL, COMMIT and FOLDER; see --help"
        verb=fetch url=$2 commit=$3 folder=$4
        ;;
    '') fail "push or fetch? See --help" ;;
    *) fail "\`$1\` is neither push nor fetch; see --help" ;;
esac
[[ $commit =~ ^[0-9a-f]{40}$ ]] || fail "\`$commit\` is no commit of 40 digits"
[[ $url =~ ^[0-9]{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/([a-z0-9]+([._/-][a-z0-9]+)*)$ ]] ||
    fail "\`$url\` must look like 123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys, without a tag"
region=${BASH_REMATCH[1]} repository=${BASH_REMATCH[3]}
for program in aws skopeo; do
    command -v "$program" > /dev/null || fail "\`$program\` is missing"
done
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# The registry's password lives for twelve hours; it goes with this script instead.
export REGISTRY_AUTH_FILE=$scratch/auth.json

# digest_of TAG: nothing when the repository has no such tag.
digest_of() {
    local said
    if said=$(aws ecr describe-images --repository-name "$repository" --image-ids "imageTag=$1" --output text \
        --query 'imageDetails[0].imageDigest' 2>&1); then
        [[ $said =~ ^sha256:[0-9a-f]{64}$ ]] || fail "ECR told \`$said\` as the digest of $repository:$1"
        echo "$said"
        return
    fi
    case $said in
        *ImageNotFoundException*) ;;
        *RepositoryNotFoundException*) fail "there is no repository $repository in $region; scripts/deploy.sh makes it" ;;
        *) fail "failed to look for $repository:$1: $said" ;;
    esac
}

digest=$(digest_of "$commit")
if [ "$verb" = fetch ] && [ -z "$digest" ]; then
    fail "there is no image of the commit $commit in $url: the workflow \`image\` pushes it when the commit comes to main"
fi
aws ecr get-login-password | skopeo login --username AWS --password-stdin "${url%%/*}" >&2

if [ "$verb" = fetch ]; then
    skopeo copy --preserve-digests "docker://$url@$digest" "dir:$folder" >&2
    echo "$digest"
    exit
fi

# hash_of IMAGE: of its configuration, which names all layers as they are unpacked, and so is the same wherever it is.
hash_of() {
    skopeo inspect --raw --config "$1" | sha256sum
}

build=this
if [ -n "$digest" ]; then
    if [ ! -e "${from#*:}" ] || [ "$(hash_of "$from")" != "$(hash_of "docker://$url@$digest")" ]; then build=other; fi
    echo "$repository:$commit is there already and stays" >&2
else
    # An archive of Docker's holds its layers unpacked, so that they get their digests here; what was fetched keeps them.
    keep=()
    case $from in dir:*) keep=(--preserve-digests) ;; esac
    # A workflow that is run again finds no artifact once its time is over, which is no error of the download.
    [ -e "${from#*:}" ] ||
        fail "there is no \`${from#*:}\`: if its artifact has expired, run all jobs of the workflow again"
    skopeo copy ${keep[@]+"${keep[@]}"} --digestfile "$scratch/digest" "$from" "docker://$url:$commit" >&2
    digest=$(< "$scratch/digest")
fi
for tag in "${more[@]#-}"; do
    found=$(digest_of "$tag")
    if [ "$found" = "$digest" ]; then continue; fi
    if [ -n "$found" ] && [ "$tag" != latest ]; then
        fail "$repository:$tag is another image, $found: two commits begin alike"
    fi
    skopeo copy --preserve-digests "docker://$url@$digest" "docker://$url:$tag" >&2
done
echo "$digest $build"
