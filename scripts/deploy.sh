#!/usr/bin/env bash
# From a clone to a running stack, and from one release to the next: all the steps, in order. Each step first looks at
# what is there in AWS and does only what is missing, so after a failure, or on another machine, the same command goes
# on. docs/DEPLOY.md tells the steps one by one; removing a stack is scripts/teardown.sh.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/stack.sh
source "$root/scripts/lib/stack.sh"
# shellcheck source=scripts/lib/python_tools.sh
source "$root/scripts/lib/python_tools.sh"

# Where the image has the workers for instances, see docker/README.md.
readonly WORKERS_IN_IMAGE=/usr/local/lib/aws-exe/worker

usage() {
    cat << 'END'
usage: scripts/deploy.sh [OPTION …]

Deploys the engine: state bucket, repository, image, stack, workers for instances, smoke tests. What is done already is
left alone; after a failure run it again.

  --plan                    show what would be done, and change nothing
  --region REGION           where to; default $AWS_REGION, or else $AWS_DEFAULT_REGION
  --prefix NAME             first part of all names; default $PROJECT_NAME, or else exe-sys
  --account ID              refuse to work in any other account than this one
  --state-bucket NAME       default $TF_STATE_BUCKET, or else <prefix>-tfstate-<account>-<region>
  --stage STAGE             what the deployed image is marked with: dev (default), staging, prod, …
  --var-file FILE           variables for infra/02-deploy; may be given again, later ones win

  --image-tag TAG           deploy this image, which is in the repository already; without it the image of the commit that
                            is checked out, which is built if it is not there
  --architecture MACHINE    x86_64 (default) or arm64: what the image is built for. A commit has one image, so another
                            architecture takes another commit, or a repository of its own (--prefix)
  --workers DIR             take the workers for instances from here (scripts/build-worker --output DIR); without it from
                            the image, for which docker is needed

  --bootstrap               apply infra/00-bootstrap although it was applied to its end before
  --github ORG/REPO         let workflows of this repository deploy (implies --bootstrap)
  --bootstrap-var-file FILE variables for infra/00-bootstrap (implies --bootstrap)
  --no-bootstrap            the state bucket is made elsewhere; only look whether it is in order

  --skip-smoke              no smoke tests

environment:
  TERRAFORM    terraform or tofu, 1.10 or later; default terraform if there is one
  Credentials and everything else of the AWS CLI; docs/DEPLOY.md says what each step has to be allowed.

Ends with 0 when all is done, 1 when a step failed, 2 when the arguments are wrong.
END
}

only_plan=false bootstrap=auto smoke=true github='' image_tag='' workers='' account=''
prefix=${PROJECT_NAME:-exe-sys} region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}} state_bucket=${TF_STATE_BUCKET:-}
stage=dev architecture=x86_64
var_files=() bootstrap_var_files=()
while [ $# -gt 0 ]; do
    # What stands for something has its value in the next argument; what is wrong with it shows below.
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --plan) only_plan=true ;;
        --bootstrap) bootstrap=yes ;;
        --no-bootstrap) bootstrap=no ;;
        --skip-smoke) smoke=false ;;
        --region | --prefix | --account | --state-bucket | --stage | --var-file | --image-tag | --architecture | --workers | \
            --github | --bootstrap-var-file)
            given=$(value "$@")
            case $1 in
                --region) region=$given ;;
                --prefix) prefix=$given ;;
                --account) account=$given ;;
                --state-bucket) state_bucket=$given ;;
                --stage) stage=$given ;;
                --var-file) var_files+=("$given") ;;
                --image-tag) image_tag=$given ;;
                --architecture) architecture=$given ;;
                --workers) workers=$given ;;
                --github) github=$given ;;
                --bootstrap-var-file) bootstrap_var_files+=("$given") ;;
            esac
            shift
            ;;
        *) wrong "\`$1\` is no option" ;;
    esac
    shift
done

[ -n "$region" ] || wrong "a region is needed: --region, or AWS_REGION in the environment"
check_region "$region"
check_prefix "$prefix"
check_stage "$stage"
if [ -n "$account" ]; then check_account "$account"; fi
if [ -n "$state_bucket" ]; then check_bucket "$state_bucket"; fi
if [ -n "$image_tag" ]; then check_tag "$image_tag"; fi
case $architecture in
    x86_64) platform=linux/amd64 ;;
    arm64) platform=linux/arm64 ;;
    *) wrong "--architecture \`$architecture\` must be x86_64 or arm64" ;;
esac
if [ -n "$github" ] && [[ ! $github =~ ^[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$ ]]; then
    wrong "--github \`$github\` must look like org/repo or org@123/repo@456"
fi
for file in ${var_files[@]+"${var_files[@]}"} ${bootstrap_var_files[@]+"${bootstrap_var_files[@]}"}; do
    [ -f "$file" ] || wrong "there is no file \`$file\`"
done
if [ -n "$workers" ] && [ ! -f "$workers/binaries.json" ]; then
    wrong "--workers: there is no \`$workers/binaries.json\`; scripts/build-worker --output makes it"
fi
if [ -n "$github" ] || [ ${#bootstrap_var_files[@]} -gt 0 ]; then
    [ "$bootstrap" != no ] || wrong "--github and --bootstrap-var-file are for infra/00-bootstrap, which --no-bootstrap leaves out"
    bootstrap=yes
fi

section() { printf '\n━━ %s\n' "$*" >&2; }

# Paths that are given are the caller's; Terraform runs in the module's folder.
absolute() { (cd "$(dirname "$1")" && printf '%s/%s' "$PWD" "$(basename "$1")"); }

# apply MODULE OPTION …: plans and, unless only that is wanted, does just what was planned. Only planning takes no
# lock, as even that would be written.
#
# Nothing that holds data goes by the way: a --var-file that is forgotten would take the stack its KMS key, and KMS
# refuses a key from the moment on at which its deletion is asked for. What is tainted was only half made, and may go.
apply() {
    local module=$1 plan=$work/$1/plan shown lost
    shift
    if [ "$only_plan" = true ]; then
        terraform_in "$module" plan -input=false -lock=false "$@" >&2
        return
    fi
    change "$module" plan -input=false "-out=$plan" "$@" >&2
    shown=$(terraform_in "$module" show -no-color "$plan")
    lost=$(grep -E '^ +# aws_(dynamodb_table|kms_key|s3_bucket)\.[^ ]+ (will be destroyed|must be replaced)' <<< "$shown" || true)
    if [ -n "$lost" ]; then
        rm -f "$plan"
        give_up "nothing was changed in infra/$module, because data would be lost. Is a --var-file missing that was given" \
            "before? Whoever means it applies the module by hand.$(printf '\n%s' "$lost")"
    fi
    change "$module" apply -input=false "$plan" >&2
    rm -f "$plan"
}

image_is_there() {
    local said
    if said=$(aws ecr describe-images --repository-name "$prefix" --image-ids "imageTag=$1" 2>&1); then return 0; fi
    case $said in
        *ImageNotFoundException* | *RepositoryNotFoundException*) return 1 ;;
        *) give_up "failed to look for the image $1: $said" ;;
    esac
}

log_in_to_registry() {
    aws ecr get-login-password | docker login --username AWS --password-stdin "${ecr_url%%/*}" >&2
}

# ── Who and where ─────────────────────────────────────────────────────────────────────────────────────────────────────
need_program aws "install the AWS CLI, version 2"
need_program git "install git"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=
find_terraform
case $region in
    cn-*) partition=aws-cn suffix=amazonaws.com.cn ;;
    us-gov-*) partition=aws-us-gov suffix=amazonaws.com ;;
    *) partition=aws suffix=amazonaws.com ;;
esac

section "account and names"
found_account=$(current_account)
if [ -n "$account" ] && [ "$account" != "$found_account" ]; then
    give_up "the credentials are for account $found_account, but --account says $account"
fi
account=$found_account
if [ -z "$state_bucket" ]; then
    state_bucket=$("$root/scripts/generate_bucket_name.sh" --prefix "$prefix" --region "$region" --account "$account")
fi
work=${CARGO_TARGET_DIR:-$root/target}/deploy/$state_bucket
mkdir -p "$work"
work=$(cd "$work" && pwd)
commit=$(git -C "$root" rev-parse --verify HEAD) ||
    give_up "$root is no clone: which image belongs to it is told by its commit. Clone the repository instead of downloading it"
say "account $account, region $region, prefix $prefix, state in $state_bucket"
if [ -z "$image_tag" ]; then say "image of commit $commit"; else say "image $image_tag"; fi

# What would be found out in the middle is looked at before anything is made.
tag=${image_tag:-$commit}
image=there
if ! image_is_there "$tag"; then
    image=missing
    if [ -n "$image_tag" ]; then
        give_up "there is no image $prefix:$image_tag in $region; push it, or leave --image-tag out to have one built"
    fi
    # Terraform writes the provider's version beside each module; that does not get into the image.
    changed=$(git -C "$root" status --porcelain -- . ':(exclude)*.terraform.lock.hcl')
    if [ -n "$changed" ]; then
        why="there are changes that are not committed, so an image of them could not be told from others"
        [ "$only_plan" = true ] || give_up "$why: commit them first"
        say "$why: without --plan this is refused"
    fi
fi
if [ "$only_plan" = false ]; then
    if [ "$image" = missing ] || [ -z "$workers" ]; then
        need_program docker "install Docker with buildx"
        docker version > /dev/null || give_up "Docker does not answer; why shows above. Is it started, and may you use it?"
    fi
    if [ "$image" = missing ]; then
        docker buildx version > /dev/null 2>&1 || give_up "Docker has no buildx, which builds the image: install docker-buildx"
    fi
    if [ "$smoke" = true ]; then
        need_program python3 "install Python 3.9 or later, or leave the smoke tests out by --skip-smoke"
    fi
fi

# ── 1. The state bucket, and who may deploy from GitHub ───────────────────────────────────────────────────────────────
section "state bucket"
bucket=there
if ! bucket_is_there "$state_bucket" "$account"; then
    if [ "$bootstrap" = no ]; then give_up "there is no bucket $state_bucket, and --no-bootstrap was given"; fi
    if [ "$only_plan" = true ]; then
        say "would create the bucket $state_bucket, apply infra/00-bootstrap and infra/01-ecr,"
        say "would build and push the image, apply infra/02-deploy, upload the workers for instances and try it all out."
        say "Terraform's plans can be shown once the state bucket is there."
        exit 0
    fi
    bucket=new
    # us-east-1 is the one region that must not be named.
    if [ "$region" = us-east-1 ]; then
        aws s3api create-bucket --bucket "$state_bucket" > /dev/null
    else
        aws s3api create-bucket --bucket "$state_bucket" \
            --create-bucket-configuration "LocationConstraint=$region" > /dev/null
    fi
    aws s3api wait bucket-exists --bucket "$state_bucket"
    say "created the bucket $state_bucket"
fi

# Written when infra/00-bootstrap was applied to its end. Listing tells without reading what is in that folder, which
# the deploy role may not.
readonly APPLIED=00-bootstrap/applied
if [ "$bootstrap" = auto ]; then
    bootstrap=yes
    if [ "$bucket" = there ]; then
        # `--no-paginate`: as text, a page that is not the last one brings a line of its own.
        keys=$(aws s3api list-objects-v2 --bucket "$state_bucket" --prefix "$APPLIED" --no-paginate --max-keys 1 \
            --output text --query 'Contents[0].Key')
        if [ "$keys" = "$APPLIED" ]; then
            bootstrap=applied
        else
            keys=$(aws s3api list-objects-v2 --bucket "$state_bucket" --no-paginate --max-keys 1 --output text \
                --query 'Contents[0].Key')
        fi
        # A bucket that was given and is used for something else must not be taken over by a slip.
        case $keys in
            '' | None | 00-bootstrap/*) ;;
            *) give_up "the bucket $state_bucket is used already (there is $keys in it): --no-bootstrap uses it as it is," \
                "--bootstrap makes it this stack's own" ;;
        esac
    fi
fi
case $bootstrap in
    applied) say "infra/00-bootstrap was applied before" ;;
    no)
        versioning=$(aws s3api get-bucket-versioning --bucket "$state_bucket" --query Status --output text)
        [ "$versioning" = Enabled ] || give_up "the bucket $state_bucket has no versioning; state needs it against slips"
        say "the bucket $state_bucket is there and versioned"
        ;;
    yes)
        # Whoever applied the module with a local state has it moved into the bucket.
        local_state=$root/infra/00-bootstrap/terraform.tfstate
        if [ -s "$local_state" ] && [ "$only_plan" = false ]; then
            mkdir -p "$work/00-bootstrap"
            "$root/scripts/generate_backend.sh" "$state_bucket" 00-bootstrap "$region" > "$work/00-bootstrap/backend.hcl"
            terraform_in 00-bootstrap init -input=false -migrate-state -force-copy \
                "-backend-config=$work/00-bootstrap/backend.hcl" >&2
            mv "$local_state" "$local_state.moved"
            say "moved the local state of infra/00-bootstrap into the bucket; $local_state.moved is what it was"
        else
            init_module 00-bootstrap
        fi
        if [ -z "$github" ]; then github=$(output 00-bootstrap github_repository); fi
        variables=("-var=prefix=$prefix" "-var=region=$region" "-var=state_bucket=$state_bucket" "-var=github_repository=$github")
        # An account has GitHub's identity provider once. One that is there and not ours is used as it is.
        if [ -n "$github" ] && ! managed 00-bootstrap aws_iam_openid_connect_provider; then
            arns=$(aws iam list-open-id-connect-providers --query 'OpenIDConnectProviderList[].Arn' --output text)
            if [[ $arns == *oidc-provider/token.actions.githubusercontent.com* ]]; then
                variables+=(-var=create_oidc_provider=false)
            fi
        fi
        for file in ${bootstrap_var_files[@]+"${bootstrap_var_files[@]}"}; do
            variables+=("-var-file=$(absolute "$file")")
        done
        apply 00-bootstrap "${variables[@]}"
        if [ "$only_plan" = false ]; then
            aws s3api put-object --bucket "$state_bucket" --key "$APPLIED" > /dev/null
            role=$(output 00-bootstrap deploy_role_arn)
            if [ -n "$role" ]; then say "workflows of $github deploy with the role $role: it is the secret AWS_ROLE_ARN"; fi
        fi
        ;;
esac

# ── 2. The repository ─────────────────────────────────────────────────────────────────────────────────────────────────
section "repository"
init_module 01-ecr
apply 01-ecr "-var=prefix=$prefix" "-var=region=$region"
ecr_url=$account.dkr.ecr.$region.$suffix/$prefix

# ── 3. The image ──────────────────────────────────────────────────────────────────────────────────────────────────────
section "image"
if [ "$image" = there ]; then
    say "$prefix:$tag is in the repository"
elif [ "$only_plan" = true ]; then
    say "would build $prefix:$tag for $platform and push it"
else
    version=$(git -C "$root" describe --tags --always)
    log_in_to_registry
    # One image and no index of several: Lambda takes no index, and a statement of provenance would make one.
    docker buildx build --file "$root/docker/Dockerfile" --platform "$platform" --provenance=false --sbom=false \
        --build-arg "REVISION=$commit" --build-arg "VERSION=$version" \
        --build-arg "CREATED=$(date -u +%Y-%m-%dT%H:%M:%SZ)" --tag "$ecr_url:$tag" --push "$root" >&2
    say "pushed $ecr_url:$tag"
fi
if [ "$only_plan" = false ]; then
    # Before any function has it, so that it is never gone while it is needed.
    "$root/scripts/mark_deployed.sh" "$prefix" "$tag" "$stage" "$region"
fi

# ── 4. The stack ──────────────────────────────────────────────────────────────────────────────────────────────────────
section "stack"
variables=(--prefix "$prefix" --architecture "$architecture")
# Where there is a deploy role, all roles have its boundary, whoever deploys: else that role could not change them.
boundary=arn:$partition:iam::$account:policy/$prefix-deploy-boundary-$region
if said=$(aws iam get-policy --policy-arn "$boundary" 2>&1); then
    variables+=(--permissions-boundary "$boundary")
elif [[ $said != *NoSuchEntity* ]]; then
    give_up "failed to look for the permissions boundary $boundary: $said"
fi
mkdir -p "$work/02-deploy"
"$root/scripts/generate_tfvars.sh" "$ecr_url" "$tag" "$region" "${variables[@]}" > "$work/02-deploy/stack.tfvars"
variables=()
for file in ${var_files[@]+"${var_files[@]}"}; do variables+=("-var-file=$(absolute "$file")"); done
# Last, so that names and image are those that all the other steps work with.
variables+=("-var-file=$work/02-deploy/stack.tfvars")
init_module 02-deploy
apply 02-deploy "${variables[@]}"

# ── 5. The workers for instances ──────────────────────────────────────────────────────────────────────────────────────
section "workers for instances"
if [ "$only_plan" = true ]; then
    say "would upload the workers that are not in the internal bucket yet"
    say "would run the smoke tests"
    exit 0
fi
internal_bucket=$(output 02-deploy internal_bucket)
[ -n "$internal_bucket" ] || give_up "infra/02-deploy has no output internal_bucket: was it applied to its end?"

scratch=
container=
clean_up() {
    if [ -n "$container" ]; then docker rm "$container" > /dev/null 2>&1 || true; fi
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
}
trap clean_up EXIT
if [ -z "$workers" ]; then
    scratch=$(mktemp -d)
    log_in_to_registry
    # Nothing of it is run, so it may be for another machine.
    container=$(docker create --platform "$platform" "$ecr_url:$tag")
    docker cp "$container:$WORKERS_IN_IMAGE" "$scratch/worker" >&2
    workers=$scratch/worker
fi
# {"x86_64":"<sha256>","aarch64":"<sha256>"}
hashes=$(grep -oE '"[0-9a-f]{64}"' "$workers/binaries.json" | tr -d '"' | sort -u)
[ -n "$hashes" ] || give_up "$workers/binaries.json names no worker"
for hash in $hashes; do
    [ -f "$workers/$hash" ] || give_up "$workers/binaries.json names the worker $hash, which is not there"
    if command -v sha256sum > /dev/null; then found=$(sha256sum < "$workers/$hash"); else found=$(shasum -a 256 < "$workers/$hash"); fi
    [ "${found%% *}" = "$hash" ] || give_up "the worker $workers/$hash has the SHA-256 ${found%% *}: it is not whole"
    if aws s3api head-object --bucket "$internal_bucket" --key "worker/$hash" > /dev/null 2>&1; then
        say "worker/$hash is there"
    else
        aws s3 cp --only-show-errors "$workers/$hash" "s3://$internal_bucket/worker/$hash"
        say "uploaded worker/$hash"
    fi
done
# Last: what it names is there. Orders that were dispatched before go on with the worker that they were told of.
aws s3 cp --only-show-errors --content-type application/json "$workers/binaries.json" "s3://$internal_bucket/worker/binaries.json"
say "instances fetch these workers from now on"

# ── 6. Does it work? ──────────────────────────────────────────────────────────────────────────────────────────────────
if [ "$smoke" = true ]; then
    section "smoke tests"
    # Pinned, whatever Python has: distributions bring a boto3 that is too old to know all that is looked at.
    python_tools "$work/../smoke" "$root/scripts/requirements/smoke.txt"
    terraform_in 02-deploy output -json > "$work/outputs.json"
    "$work/../smoke/bin/python" "$root/tests/smoke/smoke.py" --stack "$work/outputs.json" >&2 ||
        give_up "the stack is up, but does not pass the smoke tests; \`scripts/smoke_test.sh $state_bucket $region\` repeats them alone"
fi

section "deployed"
say "$prefix:$tag runs in $region of account $account"
output 02-deploy api_url
echo
