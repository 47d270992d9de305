# Everything that a deployment may choose. Only `region`, `image_repository_url` and `image_tag` have no default.
#
# Conditions on a single variable stand here. Those over several (`max_job_timeout` against the life of the objects, the
# parts of a network) are preconditions on the resources that they are about: see s3.tf, lambda.tf and kms.tf.

# --- Names and place ---

variable "prefix" {
  description = "Every resource is named `<prefix>-…`."
  type        = string
  default     = "exe-sys"

  validation {
    # Bucket names have at most 63 characters: the prefix, `-internal-` (10), the account (12), `-` and the region,
    # of which the longest has 15. 24 leaves one spare; role names (64) and function names (64) then fit as well.
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
  description = "Region that everything is deployed to."
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

variable "force_destroy" {
  description = <<-END
    Whether `terraform destroy` also deletes what lies in the buckets. Off, so that nobody loses logs and the workers
    for instances by a slip; teardown.sh asks and switches it on.
  END
  type        = bool
  default     = false
}

# --- The image ---

variable "image_repository_url" {
  description = "ECR repository of the image, without a tag. Lambda wants it in the region of the functions."
  type        = string

  validation {
    condition = can(regex(
      "^[0-9]{12}[.]dkr[.]ecr[.][a-z0-9-]+[.]amazonaws[.]com([.]cn)?/[a-z0-9]+([._/-][a-z0-9]+)*$",
      var.image_repository_url
    ))
    error_message = "image_repository_url: must look like 123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys."
  }
}

variable "image_tag" {
  description = <<-END
    Tag of the image that functions and builds run. It must be an image of one architecture, `architecture`: Lambda
    takes no index of several.
  END
  type        = string

  validation {
    # Lambda resolves a tag once, when the function is updated. With `latest` Terraform would see no change in the next
    # release and leave the functions on the old image; and a rollback needs a name for what was there before.
    condition     = can(regex("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$", var.image_tag)) && var.image_tag != "latest"
    error_message = "image_tag: must be the tag of one image, as its commit; `latest` names another one tomorrow."
  }
}

variable "architecture" {
  description = "Machine that functions and builds run on: x86_64 or arm64. The image must be built for it."
  type        = string
  default     = "x86_64"

  validation {
    condition     = contains(["x86_64", "arm64"], var.architecture)
    error_message = "architecture: must be x86_64 or arm64."
  }
}

# --- What jobs may do ---

variable "max_job_timeout" {
  description = <<-END
    Longest `job_timeout`, in seconds. Bundles, claims and results live under `tmp/`: a job must end before they do,
    so this plus two hours must fit into `tmp_expiration_days`.
  END
  type        = number
  default     = 79200

  validation {
    # A week: ticks of longer runs would not fit the 25,000 events of a Step Functions execution, and a presigned URL
    # lives for a week at most.
    condition = (
      var.max_job_timeout >= 60 && var.max_job_timeout <= 604800 && floor(var.max_job_timeout) == var.max_job_timeout
    )
    error_message = "max_job_timeout: must be a whole number of seconds from 60 to 604800."
  }
}

variable "max_parallel" {
  description = "Most orders of one run at once on each target."
  type = object({
    lambda    = optional(number, 500)
    codebuild = optional(number, 20)
    ssm       = optional(number, 50)
  })
  default = {}

  validation {
    condition = alltrue([
      for limit in values(var.max_parallel) : limit >= 1 && limit <= 9999 && floor(limit) == limit
    ])
    error_message = "max_parallel: each must be a whole number from 1 to 9999, the most orders that a job can have."
  }
}

variable "event_ttl_seconds" {
  description = "How long events are kept in the table, in seconds; 90 days by default."
  type        = number
  default     = 7776000

  validation {
    condition     = var.event_ttl_seconds >= 86400 && floor(var.event_ttl_seconds) == var.event_ttl_seconds
    error_message = "event_ttl_seconds: must be a whole number, a day (86400) at least."
  }
}

variable "git_hosts" {
  description = "Hosts that jobs may fetch code from by git, `host` or `host:port`."
  type        = list(string)
  default     = ["github.com", "gitlab.com", "bitbucket.org"]

  validation {
    condition     = alltrue([for host in var.git_hosts : can(regex("^[A-Za-z0-9.-]+(:[0-9]{1,5})?$", host))])
    error_message = "git_hosts: each must be a host, or a host and a port; no scheme, no path."
  }
}

variable "source_buckets" {
  description = <<-END
    Buckets that jobs may name as a source (`s3_location`, `payload_s3_uri`), besides the internal one: `bucket`, or
    `bucket=account` if it is another account's. A bucket of any other account is refused.
  END
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for bucket in var.source_buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](=[0-9]{12})?$", bucket))
    ])
    error_message = "source_buckets: each must be the name of a bucket, not a URL or an ARN, or a name and `=<account>`."
  }
}

variable "ssm_prefix" {
  description = "First path element of the engine's own parameters, the keys of runs; by default `prefix`."
  type        = string
  default     = null

  validation {
    condition = var.ssm_prefix == null ? true : (
      can(regex("^[A-Za-z0-9_.-]{1,64}$", var.ssm_prefix)) && !can(regex("^(aws|ssm)", lower(var.ssm_prefix)))
    )
    error_message = "ssm_prefix: 1 to 64 of A-Z a-z 0-9 _ . -, not beginning with aws or ssm."
  }
}

variable "ssm_parameter_prefixes" {
  description = <<-END
    Parameters that jobs may name: as credentials (`ssm_paths`) and as git tokens and keys. One that ends with `/`
    stands for all below it (`/teams/shop/`), any other for itself. Whoever may submit a job can read them all.
  END
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for path in var.ssm_parameter_prefixes : can(regex("^/[A-Za-z0-9_./-]*[A-Za-z0-9_.-]/?$", path))
    ])
    error_message = "ssm_parameter_prefixes: each must begin with `/`, without wildcards, and not be `/` alone."
  }
}

variable "secret_prefixes" {
  description = <<-END
    Secrets of Secrets Manager that jobs may name, by name: one that ends with `/` stands for all below it (`shop/`),
    any other for itself. Whoever may submit a job can read them all.
  END
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for name in var.secret_prefixes : can(regex("^[A-Za-z0-9_+=.@-][A-Za-z0-9/_+=.@-]*$", name))
    ])
    error_message = "secret_prefixes: each must be the name of a secret, or the beginning of names up to a `/`; no ARN."
  }
}

variable "sops_key_prefixes" {
  description = <<-END
    Parameters that jobs may name as an age identity of their own (`sops_key_ssm_path`), in the form of
    `ssm_parameter_prefixes`. Workers read them too, so keep credentials elsewhere.
  END
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for path in var.sops_key_prefixes : can(regex("^/[A-Za-z0-9_./-]*[A-Za-z0-9_.-]/?$", path))
    ])
    error_message = "sops_key_prefixes: each must begin with `/`, without wildcards, and not be `/` alone."
  }
}

variable "credential_kms_key_arns" {
  description = <<-END
    KMS keys of your own that encrypt those parameters, secrets and source buckets. What is encrypted with AWS's managed
    keys needs none.
  END
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.credential_kms_key_arns :
      can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", arn))
    ])
    error_message = "credential_kms_key_arns: each must be the ARN of a key; an alias is not taken in policies."
  }
}

variable "ssm_instance_tag" {
  description = <<-END
    The tag that an instance must have before jobs may run commands on it, which they do as root. `values` may hold
    `*` and `?`; ["*"] takes every instance that has the tag at all.
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
    condition = (
      can(regex("^[A-Za-z0-9+=._:/@-]{1,128}$", var.ssm_instance_tag.key)) &&
      !startswith(lower(var.ssm_instance_tag.key), "aws:")
    )
    error_message = "ssm_instance_tag: the key must have 1 to 128 characters and not be one of AWS's own (`aws:`)."
  }

  validation {
    condition     = length(var.ssm_instance_tag.values) > 0
    error_message = "ssm_instance_tag: at least one value; to keep jobs off all instances, name one that none has."
  }
}

variable "ssm_document_names" {
  description = "SSM documents of your own that jobs may name instead of the engine's (`ssm_document_name`)."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.ssm_document_names : can(regex("^[A-Za-z0-9_.-]{3,128}$", name))])
    error_message = "ssm_document_names: each must be the name of a document, 3 to 128 of A-Z a-z 0-9 _ . -."
  }
}

# --- Sizes ---

variable "worker_reserved_concurrency" {
  description = <<-END
    Most workers on Lambda at once, over all runs; the rest of the account's concurrency stays for the other
    functions. -1 sets no limit. Lambda refuses a reservation that leaves less than 100 of the account's quota:
    "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its
    minimum value". New accounts may have a quota of 10: ask for more (L-B99A9384), or take -1 and let
    `max_parallel.lambda` be 5, so that workers leave something to the others.
  END
  type        = number
  # Half of an account's usual quota of 1,000, as `max_parallel.lambda`.
  default = 500

  validation {
    # 0 would stop every worker.
    condition = (
      var.worker_reserved_concurrency == -1 ||
      var.worker_reserved_concurrency >= 1 && floor(var.worker_reserved_concurrency) == var.worker_reserved_concurrency
    )
    error_message = "worker_reserved_concurrency: must be -1 (no limit) or at least 1."
  }
}

variable "worker_memory_mb" {
  description = "Memory of the worker on Lambda, in MB; its share of CPU grows with it (1,769 MB are one core)."
  type        = number
  default     = 2048

  validation {
    condition     = var.worker_memory_mb >= 512 && var.worker_memory_mb <= 10240
    error_message = "worker_memory_mb: must be from 512 to 10240."
  }
}

variable "worker_storage_mb" {
  description = "Disk of the worker on Lambda, in MB: the code, what the commands write, and the log."
  type        = number
  # Lambda's most: code may unpack to 2 GiB, a log grow to 256 MiB, and commands bring their own (Terraform's providers
  # alone are above 1 GiB). What is above 512 MB costs about 0.0003 USD for an order of 15 minutes.
  default = 10240

  validation {
    condition     = var.worker_storage_mb >= 4096 && var.worker_storage_mb <= 10240
    error_message = "worker_storage_mb: must be from 4096 (code of 2 GiB as a zip and unpacked) to 10240."
  }
}

variable "codebuild_compute_type" {
  description = "Machine of a build, as BUILD_GENERAL1_SMALL."
  type        = string
  default     = "BUILD_GENERAL1_SMALL"

  validation {
    condition     = can(regex("^BUILD_GENERAL1_(SMALL|MEDIUM|LARGE|XLARGE|2XLARGE)$", var.codebuild_compute_type))
    error_message = "codebuild_compute_type: must be BUILD_GENERAL1_ and SMALL, MEDIUM, LARGE, XLARGE or 2XLARGE."
  }
}

variable "codebuild_concurrent_builds" {
  description = "Most builds at once, over all runs, further ones wait; null leaves it to the account's quota."
  type        = number
  default     = null

  validation {
    condition     = var.codebuild_concurrent_builds == null ? true : var.codebuild_concurrent_builds >= 1
    error_message = "codebuild_concurrent_builds: must be at least 1, or null."
  }
}

variable "codebuild_command_user" {
  description = <<-END
    User that commands run as in a build, whom the image must have. The worker itself is root there and holds the
    project's credentials, which a command of its own user could read. Empty runs them as root.
  END
  type        = string
  default     = "commands"

  validation {
    condition = (
      can(regex("^([a-z_][a-z0-9_-]{0,31})?$", var.codebuild_command_user)) && var.codebuild_command_user != "root"
    )
    error_message = "codebuild_command_user: must be the name of a user other than root, or empty."
  }
}

variable "api_rate_limit" {
  description = "Submissions a second that the API takes, over all callers; above it, after the burst, callers get 429."
  type        = number
  # A submission runs for seconds, up to 300: more at once would take the concurrency that the engine itself needs.
  default = 10

  validation {
    condition     = var.api_rate_limit >= 1
    error_message = "api_rate_limit: must be at least 1."
  }
}

variable "api_burst_limit" {
  description = "Submissions that the API takes at one moment."
  type        = number
  default     = 20

  validation {
    condition     = var.api_burst_limit >= 1
    error_message = "api_burst_limit: must be at least 1."
  }
}

# --- How long things are kept ---

variable "tmp_expiration_days" {
  description = "Days until bundles, claims and results (`tmp/`) are deleted. See `max_job_timeout`."
  type        = number
  default     = 1

  validation {
    condition     = var.tmp_expiration_days >= 1 && floor(var.tmp_expiration_days) == var.tmp_expiration_days
    error_message = "tmp_expiration_days: must be a whole number of days, at least 1."
  }
}

variable "log_expiration_days" {
  description = "Days until the logs of orders (`logs/`) are deleted."
  type        = number
  default     = 30

  validation {
    condition     = var.log_expiration_days >= 1 && floor(var.log_expiration_days) == var.log_expiration_days
    error_message = "log_expiration_days: must be a whole number of days, at least 1."
  }
}

variable "done_expiration_days" {
  description = "Days until the `done` objects are deleted."
  type        = number
  default     = 1

  validation {
    condition     = var.done_expiration_days >= 1 && floor(var.done_expiration_days) == var.done_expiration_days
    error_message = "done_expiration_days: must be a whole number of days, at least 1."
  }
}

variable "log_retention_days" {
  description = "Days that CloudWatch keeps the logs of functions, builds, the API and the state machine."
  type        = number
  default     = 365

  validation {
    # What CloudWatch takes.
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days
    )
    error_message = "log_retention_days: CloudWatch takes certain numbers only, as 7, 30, 90, 365 and 731."
  }
}

variable "log_level" {
  description = "What functions log (`RUST_LOG`), as info or debug. Neither holds a secret."
  type        = string
  default     = "info"

  validation {
    condition     = can(regex("^[A-Za-z0-9_,=:-]+$", var.log_level))
    error_message = "log_level: must be error, warn, info, debug or trace, or levels by module as `info,worker=debug`."
  }
}

variable "otel_exporter_otlp_endpoint" {
  description = <<-END
    Base URL of a collector of OpenTelemetry, to which functions and builds send traces of runs, over OTLP/HTTP in JSON.
    Empty sends none. It stands in clear where whoever sees the functions sees it: a token does not belong into it.
  END
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(https?://[^/@[:space:]]+(/[^@[:space:]]*)?)?$", var.otel_exporter_otlp_endpoint))
    error_message = "otel_exporter_otlp_endpoint: must be a URL as https://collector.example.com:4318, or empty."
  }
}

variable "otel_headers_in_parameter" {
  description = <<-END
    Whether functions and builds read headers for the collector, as a vendor's key, from the parameter
    `/<ssm_prefix>/otlp-headers`. You put it, as a SecureString under AWS's own key for parameters: docs/TRACING.md.
  END
  type        = bool
  default     = false
}

variable "point_in_time_recovery" {
  description = <<-END
    Whether the tables can be restored to any second of the last 35 days. Runs do not need it: what is of them in the
    tables is of use for a day. It is for audits that read the tables.
  END
  type        = bool
  default     = false
}

variable "table_deletion_protection" {
  description = "Whether the tables refuse to be deleted until this is switched off."
  type        = bool
  default     = false
}

# --- Encryption, network, alarms ---

variable "permissions_boundary_arn" {
  description = <<-END
    IAM policy that bounds every role of the stack, whatever its own policies say. The deploy role of
    infra/00-bootstrap may make no role without the one that it names; whoever deploys with rights of their own may
    leave it out.
  END
  type        = string
  default     = null

  validation {
    condition = var.permissions_boundary_arn == null ? true : can(regex(
      "^arn:aws[a-z-]*:iam::[0-9]{12}:policy/[A-Za-z0-9_+=,.@/-]+$", var.permissions_boundary_arn
    ))
    error_message = "permissions_boundary_arn: must be the ARN of a policy of this account."
  }
}

variable "create_kms_key" {
  description = <<-END
    Whether buckets, tables, queues, log groups and keys of runs are encrypted with a KMS key of this stack instead of the
    services' own. It costs a dollar a month and the calls; it lets you see, limit and end its use. The deploy role of
    infra/00-bootstrap may make no key: an administrator deploys once with it, and workflows go on. To go back to false
    deletes the key, and what it encrypted cannot be read any more: logs, results, workers for instances, letters.
  END
  type        = bool
  default     = false
}

variable "kms_key_arn" {
  description = <<-END
    An existing KMS key for the same. Its policy must let IAM policies of this account decide, and let
    `logs.<region>.amazonaws.com` and `events.amazonaws.com` use it, as kms.tf does for its own. The deploy role of
    infra/00-bootstrap may use it if it has the tag `Stack` = `prefix`.
  END
  type        = string
  default     = null

  validation {
    condition = var.kms_key_arn == null ? true : can(regex(
      "^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key_arn
    ))
    error_message = "kms_key_arn: must be the ARN of a key, not of an alias."
  }
}

variable "vpc_id" {
  description = "VPC of functions and builds; null runs them outside of any. It needs the two variables below."
  type        = string
  default     = null

  validation {
    condition     = var.vpc_id == null ? true : can(regex("^vpc-[0-9a-f]+$", var.vpc_id))
    error_message = "vpc_id: must look like vpc-0123456789abcdef0."
  }
}

variable "subnet_ids" {
  description = <<-END
    Private subnets of that VPC. From them S3, DynamoDB, Lambda, Step Functions, CodeBuild, Systems Manager, Secrets
    Manager, CloudWatch Logs, ECR and the git hosts must be reached, by a NAT gateway or endpoints.
  END
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "subnet_ids: each must look like subnet-0123456789abcdef0."
  }
}

variable "security_group_ids" {
  description = "Security groups of functions and builds. They need no way in; out, TCP 443, and 22 for git over ssh."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for id in var.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "security_group_ids: each must look like sg-0123456789abcdef0."
  }
}

variable "alarm_topic_arns" {
  description = "SNS topics that hear of alarms and of their ends. Without one they only show in CloudWatch."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for arn in var.alarm_topic_arns : can(regex("^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]+$", arn))
    ])
    error_message = "alarm_topic_arns: each must be the ARN of an SNS topic."
  }
}

variable "dashboard" {
  description = "Whether there is a CloudWatch dashboard. The first three of an account are free."
  type        = bool
  default     = true
}
