# Everything that can be chosen about the state bucket and about who may deploy. Only `region` and `state_bucket` have
# no default.

variable "prefix" {
  description = "Every resource is named `<prefix>-…`."
  type        = string
  default     = "exe-sys"

  validation {
    # As in 02-deploy, where the longest names are built from it.
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.prefix)) && !strcontains(var.prefix, "--")
    error_message = "prefix: 3 to 24 of a-z, 0-9 and single hyphens, beginning with a letter, not ending with a hyphen."
  }

  validation {
    # Parameter Store refuses names that begin with aws or ssm, SSM documents those with aws, amazon or amzn.
    condition     = !can(regex("^(aws|ssm|amazon|amzn)", var.prefix))
    error_message = "prefix: must not begin with aws, ssm, amazon or amzn; AWS keeps such names for itself."
  }
}

variable "region" {
  description = "Region of the state bucket and of the stack that the role deploys."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: must look like eu-west-1."
  }
}

variable "tags" {
  description = "Tags of every resource, besides `Stack`."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags: keys that begin with `aws:` are AWS's own."
  }
}

# --- The state bucket ---

variable "state_bucket" {
  description = "Name of the state bucket, which is there already; by custom `<prefix>-tfstate-<account>-<region>`."
  type        = string

  validation {
    # Without dots: a name with dots does not match the certificate of S3.
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket: 3 to 63 of a-z, 0-9 and hyphens, neither beginning nor ending with a hyphen."
  }
}

variable "state_versions_kept" {
  description = "How many old versions of each state are kept whatever their age."
  type        = number
  default     = 20

  validation {
    # S3 takes 1 to 100 (https://docs.aws.amazon.com/AmazonS3/latest/API/API_NoncurrentVersionExpiration.html).
    condition     = var.state_versions_kept >= 1 && var.state_versions_kept <= 100 && floor(var.state_versions_kept) == var.state_versions_kept
    error_message = "state_versions_kept: must be a whole number from 1 to 100."
  }
}

variable "state_version_days" {
  description = "Days until an old version of a state goes, unless it is one of those kept."
  type        = number
  default     = 90

  validation {
    condition     = var.state_version_days >= 1 && floor(var.state_version_days) == var.state_version_days
    error_message = "state_version_days: must be a whole number of days, at least 1."
  }
}

variable "kms_key_arn" {
  description = "KMS key that state is encrypted with; null: S3's own AES-256. Whoever deploys must be allowed to use it."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn: must be the ARN of a key, not of an alias."
  }
}

# --- Who may deploy ---

variable "github_repository" {
  description = <<-END
    The repository whose workflows may deploy, as GitHub names it in the subject of its tokens: `org/repo`, or for
    repositories with immutable subjects (created after June 2026, renamed, or switched over) `org@123/repo@456`.
    `gh api repos/ORG/REPO/actions/oidc/customization/sub` tells. Empty: no role and no identity provider.
  END
  type        = string
  default     = ""

  validation {
    condition     = var.github_repository == "" || can(regex("^[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9._-]+(@[0-9]+)?$", var.github_repository))
    error_message = "github_repository: must look like org/repo or org@123/repo@456, without wildcards."
  }
}

variable "github_branches" {
  description = "Branches whose workflows may deploy from a job without an environment. `*` stands for any characters."
  type        = list(string)
  default     = ["main"]

  validation {
    condition     = alltrue([for name in var.github_branches : can(regex("^[A-Za-z0-9._/*-]*[A-Za-z0-9._/-][A-Za-z0-9._/*-]*$", name))])
    error_message = "github_branches: each must be a branch or a pattern; a `*` alone would let every branch deploy."
  }
}

variable "github_tags" {
  description = "Tags whose workflows may deploy from a job without an environment. `*` stands for any characters."
  type        = list(string)
  default     = ["v*"]

  validation {
    condition     = alltrue([for name in var.github_tags : can(regex("^[A-Za-z0-9._/*-]*[A-Za-z0-9._/-][A-Za-z0-9._/*-]*$", name))])
    error_message = "github_tags: each must be a tag or a pattern; a `*` alone would let every tag deploy."
  }
}

variable "github_environments" {
  description = <<-END
    Environments whose jobs may deploy. A job with an environment has that in its subject instead of branch or tag: which
    branches may use it, and who must agree, is set at the environment in GitHub.
  END
  type        = list(string)
  default     = ["dev", "staging", "prod"]

  validation {
    condition     = alltrue([for name in var.github_environments : can(regex("^[A-Za-z0-9._-]+$", name))])
    error_message = "github_environments: each must be the name of an environment, without wildcards."
  }
}

variable "create_oidc_provider" {
  description = "Whether GitHub's identity provider is created. An account can have it once only: false if it is there."
  type        = bool
  default     = true
}

variable "session_hours" {
  description = "Longest session of the role, in hours. A deployment with the build of the image takes less than one."
  type        = number
  default     = 1

  validation {
    condition     = var.session_hours >= 1 && var.session_hours <= 12
    error_message = "session_hours: IAM takes 1 to 12."
  }
}

# --- What the stack's own roles may ever be allowed ---

variable "source_buckets" {
  description = "Buckets that the stack's roles may be allowed to read, besides its own: at least 02-deploy's `source_buckets`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.source_buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "source_buckets: each must be the name of a bucket, not a URL or an ARN."
  }
}

variable "ssm_parameter_prefixes" {
  description = <<-END
    Parameters that the stack's roles may be allowed to read, besides the engine's own: at least 02-deploy's
    `ssm_parameter_prefixes` and `sops_key_prefixes`, and `/<ssm_prefix>/` if that is not the prefix. One that ends with
    `/` stands for all below it.
  END
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for path in var.ssm_parameter_prefixes : can(regex("^/[A-Za-z0-9_./-]*[A-Za-z0-9_.-]/?$", path))])
    error_message = "ssm_parameter_prefixes: each must begin with `/`, without wildcards, and not be `/` alone."
  }
}

variable "secret_prefixes" {
  description = <<-END
    Secrets that the stack's roles may be allowed to read: at least 02-deploy's `secret_prefixes`. One that ends with `/`
    stands for all below it.
  END
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.secret_prefixes : can(regex("^[A-Za-z0-9_+=.@-][A-Za-z0-9/_+=.@-]*$", name))])
    error_message = "secret_prefixes: each must be the name of a secret, or the beginning of names up to a `/`; no ARN."
  }
}

variable "ssm_instance_tag" {
  description = <<-END
    The tag that an instance must have before the stack's roles may ever run commands on it: 02-deploy's
    `ssm_instance_tag`, or one that takes in all that any deployment may choose. `values` may hold `*` and `?`.
  END
  type = object({
    key    = string
    values = list(string)
  })
  default = {
    key    = "exe-sys"
    values = ["allowed"]
  }

  validation {
    condition     = can(regex("^[A-Za-z0-9+=._:/@-]{1,128}$", var.ssm_instance_tag.key)) && !startswith(lower(var.ssm_instance_tag.key), "aws:")
    error_message = "ssm_instance_tag: the key must have 1 to 128 characters and not be one of AWS's own (`aws:`)."
  }

  validation {
    condition     = length(var.ssm_instance_tag.values) > 0
    error_message = "ssm_instance_tag: at least one value; to keep jobs off all instances, name one that none has."
  }
}

variable "ssm_document_names" {
  description = "SSM documents that the stack's roles may be allowed to run, besides the engine's own: at least 02-deploy's `ssm_document_names`."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.ssm_document_names : can(regex("^[A-Za-z0-9_.-]{3,128}$", name))])
    error_message = "ssm_document_names: each must be the name of a document, 3 to 128 of A-Z a-z 0-9 _ . -."
  }
}
