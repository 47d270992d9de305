# shellcheck shell=bash
# To be sourced by the scripts that deploy, remove and prepare a stack: what names look like, and how Terraform is
# called. What the steps are is in the scripts themselves.

# Prints what is going on; results alone go to standard output.
say() { printf '%s\n' "$*" >&2; }

give_up() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# What is wrong with the arguments; the status is 2, as with aws-exe.
wrong() {
    printf 'error: %s; see %s --help\n' "$*" "scripts/${0##*/}" >&2
    exit 2
}

# value OPTION [VALUE …]: the value of an option, which is the next argument.
value() {
    if [ $# -lt 2 ] || [ -z "$2" ]; then wrong "$1 needs a value"; fi
    printf '%s' "$2"
}

need_program() {
    command -v "$1" > /dev/null || give_up "\`$1\` is missing: $2"
}

# The rules are those of the variables in infra/*/variables.tf; here they are told before anything was done.
check_prefix() {
    [[ $1 =~ ^[a-z][a-z0-9-]{1,22}[a-z0-9]$ && $1 != *--* ]] ||
        wrong "the prefix \`$1\` must be 3 to 24 of a-z, 0-9 and single hyphens, begin with a letter and not end with a hyphen"
    [[ ! $1 =~ ^(aws|ssm|amazon|amzn) ]] ||
        wrong "the prefix \`$1\` must not begin with aws, ssm, amazon or amzn; AWS keeps such names for itself"
}

check_region() {
    [[ $1 =~ ^[a-z]{2}(-[a-z]+)+-[0-9]$ ]] || wrong "the region \`$1\` must look like eu-west-1"
}

check_bucket() {
    [[ $1 =~ ^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$ ]] ||
        wrong "the bucket \`$1\` must be 3 to 63 of a-z, 0-9 and hyphens, neither beginning nor ending with a hyphen"
}

# `latest` names another image tomorrow: functions would not be updated, and nothing could be gone back to.
check_tag() {
    [[ $1 =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] ||
        wrong "the image tag \`$1\` must be 1 to 128 of A-Z a-z 0-9 _ . -, not beginning with . or -"
    [ "$1" != latest ] || wrong "the image tag must name one image, as its commit does; \`latest\` names another one tomorrow"
}

check_stage() {
    # Part of a tag: `deployed-`, the stage, `-` and the image's tag have 128 characters together.
    [[ $1 =~ ^[a-z0-9]{1,20}$ ]] || wrong "the stage \`$1\` must be 1 to 20 of a-z and 0-9, as dev, staging or prod"
}

check_account() {
    [[ $1 =~ ^[0-9]{12}$ ]] || wrong "the account \`$1\` must be 12 digits"
}

# What the repository's address looks like.
check_ecr_url() {
    [[ $1 =~ ^[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9]+([._/-][a-z0-9]+)*$ ]] ||
        wrong "the repository \`$1\` must look like 123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys, without a tag"
}

# The account whose credentials are used.
current_account() {
    local account
    account=$(aws sts get-caller-identity --query Account --output text) ||
        give_up "AWS does not tell whose credentials these are; why shows above. Without any, or when they have expired:" \
            "log in, as with \`aws sso login\`. If it cannot be reached: is the region right?"
    [[ $account =~ ^[0-9]{12}$ ]] || give_up "AWS named the account \`$account\`, which is none"
    printf '%s' "$account"
}

# Terraform or OpenTofu, whichever is wanted or there; locks in S3 came with 1.10 of both.
find_terraform() {
    local version
    if [ -z "${TERRAFORM:-}" ]; then
        if command -v terraform > /dev/null; then TERRAFORM=terraform; else TERRAFORM=tofu; fi
    fi
    need_program "$TERRAFORM" "install Terraform or OpenTofu, 1.10 or later, or name it by TERRAFORM"
    version=$("$TERRAFORM" version -json | sed -n 's/.*"terraform_version": *"\([0-9]*\.[0-9]*\).*/\1/p')
    [[ $version =~ ^([0-9]+)\.([0-9]+)$ ]] || give_up "\`$TERRAFORM version -json\` does not tell a version"
    if [ "${BASH_REMATCH[1]}" -lt 1 ] || { [ "${BASH_REMATCH[1]}" = 1 ] && [ "${BASH_REMATCH[2]}" -lt 10 ]; }; then
        give_up "\`$TERRAFORM\` is $version; 1.10 is the first that locks state in S3 itself"
    fi
}

# terraform MODULE SUBCOMMAND …: what it downloads and notes of a stack is kept apart from that of other stacks, so that
# one clone can serve several. Needs $root and $work.
# shellcheck disable=SC2154 # root and work are the caller's
terraform_in() {
    local module=$1
    shift
    mkdir -p "$work/$module"
    TF_DATA_DIR=$work/$module/data TF_IN_AUTOMATION=1 "$TERRAFORM" "-chdir=$root/infra/$module" "$@"
}

# init_module MODULE [OPTION …]: with the state in the state bucket. Needs $state_bucket and $region as well; nothing is
# written there if $only_plan is true.
# shellcheck disable=SC2154 # these are the caller's
init_module() {
    local module=$1
    shift
    mkdir -p "$work/$module"
    # Another stack's would be taken for this one's while this one has none.
    if [ -e "$root/infra/$module/errored.tfstate" ]; then
        give_up "a state that could not be saved was left in $root/infra/$module/errored.tfstate, by Terraform called by hand or a" \
            "run that was cut off. If it is this stack's, move it to $work/$module/, else away, and run this again"
    fi
    "$root/scripts/generate_backend.sh" "$state_bucket" "$module" "$region" > "$work/$module/backend.hcl"
    terraform_in "$module" init -input=false -reconfigure "-backend-config=$work/$module/backend.hcl" "$@" >&2
    if [ ! -e "$work/$module/errored.tfstate" ]; then return; fi
    if [ "${only_plan:-false}" = true ]; then
        say "an earlier run could not save the state of infra/$module. That is done first without --plan; what follows is not the plan"
    else
        save_unsaved_state "$module"
    fi
}

# Terraform that cannot save the state at its end, as its credentials have expired meanwhile, leaves it as
# `errored.tfstate` in the module's folder; `change` keeps it by stack, as one clone may serve several.
#
# save_unsaved_state MODULE: brings into the bucket what an earlier run could not. Without it all that this run made would
# be made a second time. Terraform refuses a state that is older than the one in the bucket, or another stack's.
save_unsaved_state() {
    local unsaved=$work/$1/errored.tfstate
    change "$1" state push "$unsaved" >&2 ||
        give_up "an earlier run could not save the state of infra/$1, and what it left in $unsaved is not taken now; why shows above"
    rm -f "$unsaved"
    say "saved the state of infra/$1, which an earlier run could not"
}

# change MODULE SUBCOMMAND …: terraform_in for what takes the lock of the state. When it fails, says what that leaves to do.
change() {
    local module=$1 status=0
    terraform_in "$@" || status=$?
    if [ "$status" = 0 ]; then return; fi
    if [ -e "$root/infra/$module/errored.tfstate" ]; then
        mv "$root/infra/$module/errored.tfstate" "$work/$module/errored.tfstate"
        say "The state of infra/$module could not be saved. It is in $work/$module/errored.tfstate: run this again on this machine."
    fi
    if aws s3api head-object --bucket "$state_bucket" --key "$module/terraform.tfstate.tflock" > /dev/null 2>&1; then
        say "The state of infra/$module is locked; by whom and since when shows above, or when this is run again. Whoever is at" \
            "work unlocks it at the end. If nobody is, because an earlier run was cut off:"
        say "  $(printf 'TF_DATA_DIR=%q %q -chdir=%q force-unlock' "$work/$module/data" "$TERRAFORM" "$root/infra/$module") LOCK_ID"
    fi
    return "$status"
}

# managed MODULE [TYPE]: whether the state of an initialised module has anything in it, or anything of that type.
# Errors end all: whoever asks decides by this what is created or removed.
managed() {
    local state
    # Nothing, if there was never a state.
    state=$(terraform_in "$1" state pull) || give_up "failed to read the state of infra/$1"
    if [ $# -gt 1 ]; then
        grep -q "\"type\": \"$2\"" <<< "$state"
    else
        grep -q '"mode": "managed"' <<< "$state"
    fi
}

# output MODULE NAME: the value of an output; nothing if there is no such output (yet).
output() {
    local all
    all=$(terraform_in "$1" output -json) || give_up "failed to read the outputs of infra/$1"
    if grep -q "\"$2\": {" <<< "$all"; then terraform_in "$1" output -raw "$2"; fi
}

# Whether the bucket is there and belongs to the account: 0 yes, 1 no. Somebody else's bucket of that name is an error:
# buckets share one namespace over all accounts.
bucket_is_there() {
    local bucket=$1 account=$2 said
    if said=$(aws s3api head-bucket --bucket "$bucket" --expected-bucket-owner "$account" 2>&1); then return 0; fi
    case $said in
        *404* | *"Not Found"* | *NoSuchBucket*) return 1 ;;
        *403* | *Forbidden*) give_up "the bucket $bucket belongs to another account, or these credentials may not look at it" ;;
        *) give_up "failed to look at the bucket $bucket: $said" ;;
    esac
}

# Deletes all that is in a bucket, old versions and delete markers as well.
empty_bucket() {
    local bucket=$1 batch errors
    batch=$work/delete.json
    while true; do
        # 1,000 is the most that one request deletes; a key each for the two kinds of what a versioned bucket holds.
        # shellcheck disable=SC2016 # the backquotes are JMESPath's
        aws s3api list-object-versions --bucket "$bucket" --no-paginate --max-keys 1000 --output json \
            --query '{Quiet: `true`, Objects: [Versions, DeleteMarkers][].{Key: Key, VersionId: VersionId}}' > "$batch"
        if ! grep -q '"Key"' "$batch"; then break; fi
        errors=$(aws s3api delete-objects --bucket "$bucket" --delete "file://$batch" --output text \
            --query 'Errors[0].[Key, Code, Message]')
        if [ -n "$errors" ] && [ "$errors" != None ]; then
            give_up "failed to empty the bucket $bucket: $errors"
        fi
    done
    rm -f "$batch"
}
