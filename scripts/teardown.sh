#!/usr/bin/env bash
# Removes a stack, in the reverse order of scripts/deploy.sh: first the stack itself, then the repository with all
# images, and only if asked for the deploy role and the state bucket. Each step looks at what is there, so after a
# failure the same command goes on.
set -euo pipefail
unset CDPATH # with it `cd` may print where it went
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/stack.sh
source "$root/scripts/lib/stack.sh"

usage() {
    cat << 'END'
usage: scripts/teardown.sh [OPTION …]

Removes a stack with all its data: jobs that run, logs, events, images. Asks first, by letting the prefix be typed.

  --region REGION       default $AWS_REGION, or else $AWS_DEFAULT_REGION
  --prefix NAME         default $PROJECT_NAME, or else exe-sys
  --account ID          refuse to work in any other account than this one
  --state-bucket NAME   default $TF_STATE_BUCKET, or else <prefix>-tfstate-<account>-<region>
  --var-file FILE       the variables that infra/02-deploy was deployed with, if there were any; may be given again
  --keep-images         leave the repository and its images
  --everything          also the deploy role and the state bucket with the state of all modules, for good
  --yes                 do not ask

environment:
  TERRAFORM    terraform or tofu, 1.10 or later; default terraform if there is one

Ends with 0 when all is gone, 1 when a step failed or the prefix was not typed, 2 when the arguments are wrong.
END
}

prefix=${PROJECT_NAME:-exe-sys} region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}} state_bucket=${TF_STATE_BUCKET:-} account=
images=true everything=false ask=true var_files=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --keep-images) images=false ;;
        --everything) everything=true ;;
        --yes) ask=false ;;
        --region | --prefix | --account | --state-bucket | --var-file)
            given=$(value "$@")
            case $1 in
                --region) region=$given ;;
                --prefix) prefix=$given ;;
                --account) account=$given ;;
                --state-bucket) state_bucket=$given ;;
                --var-file) var_files+=("$given") ;;
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
if [ -n "$account" ]; then check_account "$account"; fi
if [ -n "$state_bucket" ]; then check_bucket "$state_bucket"; fi
for file in ${var_files[@]+"${var_files[@]}"}; do
    [ -f "$file" ] || wrong "there is no file \`$file\`"
done
if [ "$everything" = true ] && [ "$images" = false ]; then
    wrong "--everything and --keep-images contradict each other: without its state a repository cannot be managed"
fi

section() { printf '\n━━ %s\n' "$*" >&2; }

need_program aws "install the AWS CLI, version 2"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=
find_terraform
found_account=$(current_account)
if [ -n "$account" ] && [ "$account" != "$found_account" ]; then
    give_up "the credentials are for account $found_account, but --account says $account"
fi
account=$found_account
if [ -z "$state_bucket" ]; then
    state_bucket=$("$root/scripts/generate_bucket_name.sh" --prefix "$prefix" --region "$region" --account "$account")
fi
if ! bucket_is_there "$state_bucket" "$account"; then
    say "there is no bucket $state_bucket, so no stack $prefix in $region of account $account that Terraform knows of"
    exit 0
fi

# A bucket that was given may be another's, and hold more than this stack: that never goes with it. `--delimiter` makes it
# one line a folder, old versions included. One without a folder of infra/00-bootstrap was made elsewhere, unless it has
# the name that only scripts/deploy.sh gives; then an earlier removal was cut off when that folder was gone already.
if [ "$everything" = true ]; then
    usual=$("$root/scripts/generate_bucket_name.sh" --prefix "$prefix" --region "$region" --account "$account")
    folders=$(aws s3api list-object-versions --bucket "$state_bucket" --delimiter / --output text \
        --query '[CommonPrefixes[].Prefix, Versions[].Key, DeleteMarkers[].Key][]')
    own=false
    if [ "$state_bucket" = "$usual" ]; then own=true; fi
    for folder in $folders; do
        case $folder in
            00-bootstrap/) own=true ;;
            01-ecr/ | 02-deploy/ | archive/ | None) ;;
            *) give_up "the bucket $state_bucket holds more than this stack (there is $folder in it): leave --everything out" ;;
        esac
    done
    [ "$own" = true ] || give_up "the bucket $state_bucket was made elsewhere, not by infra/00-bootstrap: leave --everything out," \
        "and whoever made it may remove it"
fi

# ── May it go? ────────────────────────────────────────────────────────────────────────────────────────────────────────
say "This removes from $region of account $account:"
say "  - the stack $prefix: functions, API, tables, queues, buckets with all logs and results; jobs that run are ended"
if [ "$images" = true ]; then say "  - the repository $prefix with all its images: no way back to an earlier release"; fi
if [ "$everything" = true ]; then say "  - the deploy role, and the bucket $state_bucket with the state of all modules"; fi
if [ "$ask" = true ]; then
    printf 'Type the prefix, %s, to go on: ' "$prefix" >&2
    typed=
    read -r typed || true
    [ "$typed" = "$prefix" ] || give_up "\`$typed\` is not \`$prefix\`; nothing was removed"
fi

work=${CARGO_TARGET_DIR:-$root/target}/deploy/$state_bucket
mkdir -p "$work"
work=$(cd "$work" && pwd)

# ── 1. The stack ──────────────────────────────────────────────────────────────────────────────────────────────────────
remove_stack() {
    local image machine executions execution file attempt bucket
    # Whoever is waiting there would call functions that are gone, and a state machine goes only when all have ended.
    machine=$(output 02-deploy watchdog_sfn)
    if [[ $machine == arn:* ]]; then
        executions=$(aws stepfunctions list-executions --state-machine-arn "$machine" --status-filter RUNNING \
            --query 'executions[].executionArn' --output text)
        if [ "$executions" = None ]; then executions=; fi
        for execution in $executions; do
            aws stepfunctions stop-execution --execution-arn "$execution" --error Teardown > /dev/null
        done
        say "ended $(wc -w <<< "$executions" | tr -d ' ') watchdogs"
    fi

    # Values that Terraform wants to be told and that do not matter here, unless the stack knows better ones.
    image=$(output 02-deploy image_uri)
    [[ $image == *.dkr.ecr.*:* ]] || image=$account.dkr.ecr.$region.amazonaws.com/$prefix:none
    local variables=()
    for file in ${var_files[@]+"${var_files[@]}"}; do
        variables+=("-var-file=$(cd "$(dirname "$file")" && pwd)/$(basename "$file")")
    done
    variables+=("-var=prefix=$prefix" "-var=region=$region" "-var=image_repository_url=${image%:*}" "-var=image_tag=${image##*:}")

    # It lets nobody delete claims and results.
    bucket=$prefix-internal-$account-$region
    if bucket_is_there "$bucket" "$account"; then aws s3api delete-bucket-policy --bucket "$bucket"; fi

    # A function that is just ending may still write after its bucket was emptied, so a second time is tried.
    for attempt in 1 2; do
        for bucket in "$prefix-internal-$account-$region" "$prefix-done-$account-$region"; do
            if bucket_is_there "$bucket" "$account"; then
                empty_bucket "$bucket"
                say "emptied $bucket"
            fi
        done
        if change 02-deploy destroy -input=false -auto-approve "${variables[@]}" >&2; then return; fi
        [ "$attempt" = 1 ] || give_up "the stack is not gone; what is left shows above. Run this again when that is solved"
        say "not all of it could be removed; trying once more"
    done
}

section "stack"
init_module 02-deploy
# Terraform removes what the state has, whatever it is told: a bucket that was given may hold another stack's.
state_prefix=$(output 02-deploy prefix)
state_region=$(output 02-deploy region)
if [ -n "$state_prefix" ] && [ "$state_prefix $state_region" != "$prefix $region" ]; then
    give_up "the bucket $state_bucket has the state of the stack $state_prefix in $state_region: nothing was removed."         "Name that stack, or give the state bucket of $prefix"
fi
ssm_prefix=$(output 02-deploy ssm_prefix)
ssm_prefix=${ssm_prefix:-$prefix}
if managed 02-deploy; then remove_stack; else say "there is none"; fi

# Keys of runs that never ended are the engine's, not Terraform's. Only names are asked for: the deploy role may read none.
names=$(aws ssm describe-parameters --parameter-filters "Key=Path,Option=OneLevel,Values=/$ssm_prefix/sops-keys" \
    --output text --query 'Parameters[].Name')
if [ "$names" = None ]; then names=; fi
# A line a page. Names of runs have no blanks, so each word is one.
read -ra each <<< "$(tr '\n' ' ' <<< "$names")"
# Ten are the most that one request deletes.
for ((from = 0; from < ${#each[@]}; from += 10)); do
    left=$(aws ssm delete-parameters --names "${each[@]:from:10}" --query InvalidParameters --output text)
    if [ -n "$left" ] && [ "$left" != None ]; then give_up "failed to delete the keys of runs $left; run this again"; fi
done
if [ ${#each[@]} -gt 0 ]; then say "deleted ${#each[@]} keys of runs"; fi

# ── 2. The repository ─────────────────────────────────────────────────────────────────────────────────────────────────
section "repository"
if [ "$images" = true ]; then init_module 01-ecr; fi
if [ "$images" = false ]; then
    say "left, with its images"
elif managed 01-ecr; then
    if said=$(aws ecr delete-repository --repository-name "$prefix" --force 2>&1); then
        say "deleted the repository $prefix and its images"
    elif [[ $said != *RepositoryNotFoundException* ]]; then
        give_up "failed to delete the repository $prefix: $said"
    fi
    change 01-ecr destroy -input=false -auto-approve "-var=prefix=$prefix" "-var=region=$region" >&2
else
    say "there is none"
fi

# ── 3. The deploy role and the state ──────────────────────────────────────────────────────────────────────────────────
section "deploy role and state bucket"
readonly PROVIDER=aws_iam_openid_connect_provider.github
provider_stays=false
if [ "$everything" = true ]; then
    init_module 00-bootstrap
    if managed 00-bootstrap; then
        resources=$(terraform_in 00-bootstrap state list)
        # The bucket holds the state of its own removal, so it goes last and by hand. The identity provider is the
        # account's only one for GitHub: others may trust it too.
        while read -r resource; do
            case $resource in
                aws_s3_bucket*) terraform_in 00-bootstrap state rm "$resource" >&2 ;;
                "$PROVIDER"*)
                    terraform_in 00-bootstrap state rm "$resource" >&2
                    provider_stays=true
                    ;;
            esac
        done <<< "$resources"
        # Without github_repository the module has no role; what is in the state then goes. The bucket is not there for
        # it.
        change 00-bootstrap destroy -input=false -auto-approve "-var=prefix=$prefix" "-var=region=$region" \
            "-var=state_bucket=$state_bucket" >&2
    fi
    empty_bucket "$state_bucket"
    aws s3api delete-bucket --bucket "$state_bucket"
    say "deleted the bucket $state_bucket"
fi

section "what stays"
if [ "$everything" = false ]; then
    say "- the bucket $state_bucket: versions of the state, for whoever has to know what there was; it costs cents a month"
    say "- the deploy role and its policies, so that workflows can deploy again; they cost nothing"
    say "  --everything removes both"
fi
if [ "$images" = false ]; then say "- the repository $prefix with its images, because of --keep-images"; fi
if [ "$provider_stays" = true ]; then
    say "- the identity provider token.actions.githubusercontent.com: an account has it once, and others may trust it"
fi
say "- a KMS key of the stack, if it had one, is deleted 30 days from now; until then \`aws kms cancel-key-deletion\` keeps it"
say "- what AWS keeps by itself: CloudTrail, metrics (15 months), names of executions (90 days)"
