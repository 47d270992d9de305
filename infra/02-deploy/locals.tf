# What everything is called, its ARN, and what each function gets: in one place, so that policies and resources cannot
# disagree, and so that a test can hold it against the engine's code (crates/common: stack.rs, keys.rs, env.rs).
#
# ARNs are put together from names here, not taken from resources: policies then need no resource to be there first, and
# functions, state machine and project can name each other without a cycle.

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  # The part of an ARN that says where something is.
  here = "${var.region}:${local.account}"

  # As `Stack` in crates/common/src/stack.rs. Buckets share one namespace over all accounts.
  name = {
    orders_table       = "${var.prefix}-orders"
    order_events_table = "${var.prefix}-order-events"
    locks_table        = "${var.prefix}-locks"
    internal_bucket    = "${var.prefix}-internal-${local.account}-${var.region}"
    done_bucket        = "${var.prefix}-done-${local.account}-${var.region}"
    init_job           = "${var.prefix}-init-job"
    ssm_config         = "${var.prefix}-ssm-config"
    orchestrator       = "${var.prefix}-orchestrator"
    watchdog_check     = "${var.prefix}-watchdog-check"
    worker             = "${var.prefix}-worker"
    state_machine      = "${var.prefix}-watchdog"
    codebuild_project  = "${var.prefix}-worker"
    ssm_document       = "${var.prefix}-run-commands"

    codebuild_rule = "${var.prefix}-codebuild-events"
    ssm_rule       = "${var.prefix}-ssm-events"

    orchestrator_dead_letters   = "${var.prefix}-orchestrator-dead-letters"
    watchdog_check_dead_letters = "${var.prefix}-watchdog-check-dead-letters"
    intake_dead_letters         = "${var.prefix}-intake-dead-letters"

    dashboard = "${var.prefix}-${var.region}"

    # Groups below /aws/vendedlogs/ need no place in the account's resource policy of logs, which has 5,120 characters.
    codebuild_logs     = "/aws/codebuild/${var.prefix}-worker"
    api_logs           = "/aws/vendedlogs/apis/${var.prefix}"
    state_machine_logs = "/aws/vendedlogs/states/${var.prefix}-watchdog"
  }

  ssm_prefix = coalesce(var.ssm_prefix, var.prefix)
  image_uri  = "${var.image_repository_url}:${var.image_tag}"
  # 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/exe-sys
  image_place = join(":", reverse(regex("^([0-9]+)[.]dkr[.]ecr[.]([a-z0-9-]+)[.]", var.image_repository_url)))
  image_path  = regex("^[^/]+/(.+)$", var.image_repository_url)[0]

  arn = {
    orders_table       = "arn:${local.partition}:dynamodb:${local.here}:table/${local.name.orders_table}"
    order_events_table = "arn:${local.partition}:dynamodb:${local.here}:table/${local.name.order_events_table}"
    locks_table        = "arn:${local.partition}:dynamodb:${local.here}:table/${local.name.locks_table}"

    internal_bucket = "arn:${local.partition}:s3:::${local.name.internal_bucket}"
    done_bucket     = "arn:${local.partition}:s3:::${local.name.done_bucket}"

    init_job       = "arn:${local.partition}:lambda:${local.here}:function:${local.name.init_job}"
    ssm_config     = "arn:${local.partition}:lambda:${local.here}:function:${local.name.ssm_config}"
    orchestrator   = "arn:${local.partition}:lambda:${local.here}:function:${local.name.orchestrator}"
    watchdog_check = "arn:${local.partition}:lambda:${local.here}:function:${local.name.watchdog_check}"
    worker         = "arn:${local.partition}:lambda:${local.here}:function:${local.name.worker}"

    state_machine = "arn:${local.partition}:states:${local.here}:stateMachine:${local.name.state_machine}"
    executions    = "arn:${local.partition}:states:${local.here}:execution:${local.name.state_machine}:*"

    codebuild_project = "arn:${local.partition}:codebuild:${local.here}:project/${local.name.codebuild_project}"

    ssm_document      = "arn:${local.partition}:ssm:${local.here}:document/${local.name.ssm_document}"
    ec2_instances     = "arn:${local.partition}:ec2:${local.here}:instance/*"
    managed_instances = "arn:${local.partition}:ssm:${local.here}:managed-instance/*"
    run_keys          = "arn:${local.partition}:ssm:${local.here}:parameter/${local.ssm_prefix}/sops-keys/*"
    otlp_headers      = "arn:${local.partition}:ssm:${local.here}:parameter${local.otlp_headers}"

    codebuild_rule = "arn:${local.partition}:events:${local.here}:rule/${local.name.codebuild_rule}"
    ssm_rule       = "arn:${local.partition}:events:${local.here}:rule/${local.name.ssm_rule}"

    orchestrator_dead_letters   = "arn:${local.partition}:sqs:${local.here}:${local.name.orchestrator_dead_letters}"
    watchdog_check_dead_letters = "arn:${local.partition}:sqs:${local.here}:${local.name.watchdog_check_dead_letters}"
    intake_dead_letters         = "arn:${local.partition}:sqs:${local.here}:${local.name.intake_dead_letters}"

    init_job_logs       = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${local.name.init_job}"
    ssm_config_logs     = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${local.name.ssm_config}"
    orchestrator_logs   = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${local.name.orchestrator}"
    watchdog_check_logs = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${local.name.watchdog_check}"
    worker_logs         = "arn:${local.partition}:logs:${local.here}:log-group:/aws/lambda/${local.name.worker}"
    codebuild_logs      = "arn:${local.partition}:logs:${local.here}:log-group:${local.name.codebuild_logs}"
    api_logs            = "arn:${local.partition}:logs:${local.here}:log-group:${local.name.api_logs}"
    state_machine_logs  = "arn:${local.partition}:logs:${local.here}:log-group:${local.name.state_machine_logs}"

    # Dashboards are the account's, of no region.
    dashboard = "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${local.name.dashboard}"

    image_repository = "arn:${local.partition}:ecr:${local.image_place}:repository/${local.image_path}"
  }

  # What jobs may name besides what is the engine's own: lists that variables make.
  job_parameters = [for path in var.ssm_parameter_prefixes :
    "arn:${local.partition}:ssm:${local.here}:parameter${path}${endswith(path, "/") ? "*" : ""}"
  ]
  job_sops_keys = [for path in var.sops_key_prefixes :
    "arn:${local.partition}:ssm:${local.here}:parameter${path}${endswith(path, "/") ? "*" : ""}"
  ]
  # The ARN of a secret ends with a hyphen and six characters that Secrets Manager draws.
  job_secrets = [for name in var.secret_prefixes :
    "arn:${local.partition}:secretsmanager:${local.here}:secret:${name}${endswith(name, "/") ? "*" : "-??????"}"
  ]
  job_source_objects = [for bucket in var.source_buckets :
    "arn:${local.partition}:s3:::${split("=", bucket)[0]}/*"
  ]
  job_documents = [for name in var.ssm_document_names :
    "arn:${local.partition}:ssm:${local.here}:document/${name}"
  ]

  has_kms_key = var.create_kms_key || var.kms_key_arn != null
  kms_key_arn = var.create_kms_key ? one(aws_kms_key.stack[*].arn) : var.kms_key_arn

  is_in_vpc = var.vpc_id != null

  # Below the engine's own path, which no job may name.
  otlp_headers     = "/${local.ssm_prefix}/otlp-headers"
  has_traces       = var.otel_exporter_otlp_endpoint != ""
  has_otlp_headers = local.has_traces && var.otel_headers_in_parameter

  # What those read that send traces.
  traces_environment = merge(
    local.has_traces ? {
      OTEL_EXPORTER_OTLP_ENDPOINT = var.otel_exporter_otlp_endpoint
      OTEL_SERVICE_NAME           = var.prefix
    } : {},
    local.has_otlp_headers ? { AWS_EXE_SYS_OTLP_HEADERS_PARAMETER = local.otlp_headers } : {},
  )

  # What both functions that take jobs read: they take the same steps with them (crates/common/src/intake).
  intake_environment = merge(local.traces_environment, {
    AWS_EXE_SYS_ORDERS_TABLE    = local.name.orders_table
    AWS_EXE_SYS_LOCKS_TABLE     = local.name.locks_table
    AWS_EXE_SYS_INTERNAL_BUCKET = local.name.internal_bucket
    AWS_EXE_SYS_DONE_BUCKET     = local.name.done_bucket
    AWS_EXE_SYS_WATCHDOG_SFN    = local.arn.state_machine
    AWS_EXE_SYS_SSM_PREFIX      = local.ssm_prefix
    AWS_EXE_SYS_KMS_KEY_ARN     = local.has_kms_key ? local.kms_key_arn : ""
    AWS_EXE_SYS_GIT_HOSTS       = join(",", var.git_hosts)
    AWS_EXE_SYS_ACCOUNT_ID      = local.account
    AWS_EXE_SYS_SOURCE_BUCKETS  = join(",", var.source_buckets)
    AWS_EXE_SYS_MAX_JOB_TIMEOUT = tostring(var.max_job_timeout)
    AWS_EXE_SYS_MAX_PARALLEL    = local.max_parallel
    RUST_LOG                    = var.log_level
  })

  # The variables of each function: every one that it reads (crates/common/src/env.rs) and that has a say here. None is
  # a secret. What the worker on Lambda runs comes with each invocation.
  environment = {
    init_job   = local.intake_environment
    ssm_config = local.intake_environment
    orchestrator = merge(local.traces_environment, {
      AWS_EXE_SYS_ORDERS_TABLE       = local.name.orders_table
      AWS_EXE_SYS_ORDER_EVENTS_TABLE = local.name.order_events_table
      AWS_EXE_SYS_LOCKS_TABLE        = local.name.locks_table
      AWS_EXE_SYS_INTERNAL_BUCKET    = local.name.internal_bucket
      AWS_EXE_SYS_DONE_BUCKET        = local.name.done_bucket
      AWS_EXE_SYS_WORKER_LAMBDA      = local.name.worker
      AWS_EXE_SYS_CODEBUILD_PROJECT  = local.name.codebuild_project
      AWS_EXE_SYS_SSM_DOCUMENT       = local.name.ssm_document
      AWS_EXE_SYS_WATCHDOG_SFN       = local.arn.state_machine
      AWS_EXE_SYS_SSM_PREFIX         = local.ssm_prefix
      AWS_EXE_SYS_MAX_PARALLEL       = local.max_parallel
      AWS_EXE_SYS_EVENT_TTL_SECONDS  = tostring(var.event_ttl_seconds)
      RUST_LOG                       = var.log_level
    })
    watchdog_check = {
      AWS_EXE_SYS_INTERNAL_BUCKET = local.name.internal_bucket
      AWS_EXE_SYS_SSM_PREFIX      = local.ssm_prefix
      RUST_LOG                    = var.log_level
    }
    worker = merge(local.traces_environment, {
      RUST_LOG = var.log_level
    })
    # Not a function: the variables of the project. Those of an order come with each StartBuild.
    codebuild = merge(local.traces_environment, {
      AWS_EXE_SYS_COMMAND_USER = var.codebuild_command_user
      RUST_LOG                 = var.log_level
    })
  }

  max_parallel = "lambda=${var.max_parallel.lambda},codebuild=${var.max_parallel.codebuild},ssm=${var.max_parallel.ssm}"

  # The functions. Timeouts are those of `Function::timeout_secs` in crates/common/src/stack.rs.
  functions = {
    init_job = {
      description = "POST /init: takes a job of any targets."
      # Below the lease of a submission (360 s), so that nobody else takes over what this one still writes. A submission
      # may pack a large repository. The API gives up after 30 s; the function goes on, and the same request under the
      # same run id then gets the answer.
      timeout = 300
      # One whole core: packing and sealing are what takes the time.
      memory = 1769
      # A checkout of 2 GiB, its objects, and the zip.
      storage  = 6144
      reserved = -1
    }
    ssm_config = {
      description = "POST /ssm: takes a job of ssm orders alone."
      timeout     = 300
      memory      = 1769
      storage     = 6144
      reserved    = -1
    }
    orchestrator = {
      description = "Invoked by each result: decides what is next, dispatches, finalizes."
      # Below the lease (60 s), so that a holder never outlives its lease.
      timeout = 50
      # Sixteen results of at most 16 MiB at once, four plans, and a core's larger part for opening bundles.
      memory   = 1024
      storage  = 512
      reserved = -1
    }
    watchdog_check = {
      description = "Looks after orders and runs: late ones, lost workers, the tick."
      timeout     = 60
      # Sixteen results of instances of at most 16 MiB at once.
      memory   = 512
      storage  = 512
      reserved = -1
    }
    worker = {
      description = "Runs one order."
      # Lambda's most. Orders have at most 840 s with their time to stop; the rest is for fetching and reporting.
      timeout  = 900
      memory   = var.worker_memory_mb
      storage  = var.worker_storage_mb
      reserved = var.worker_reserved_concurrency
    }
  }
}
