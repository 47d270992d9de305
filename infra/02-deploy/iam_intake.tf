# The roles of init_job and ssm_config, which take the same steps (crates/common/src/intake) and so have the same
# policy. They are the only ones that read credentials of jobs and that write bundles, code and plans.
#
# In all iam_*.tf a statement stands for a purpose and its sid says which. Those whose sid begins with `Unrecorded`
# are for calls that the embedded AWS does not see, because the service makes them itself or it has no such service;
# the others are held against recorded calls. Roles have the region in their names: IAM has one namespace over all
# regions.

resource "aws_iam_role" "init_job" {
  name                 = "${local.name.init_job}-${var.region}"
  description          = "Function init_job of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_lambda.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role" "ssm_config" {
  name                 = "${local.name.ssm_config}-${var.region}"
  description          = "Function ssm_config of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_lambda.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "init_job_own" {
  name   = "own"
  role   = aws_iam_role.init_job.id
  policy = data.aws_iam_policy_document.intake.json
}

resource "aws_iam_role_policy" "ssm_config_own" {
  name   = "own"
  role   = aws_iam_role.ssm_config.id
  policy = data.aws_iam_policy_document.intake.json
}

data "aws_iam_policy_document" "intake" {
  # Reserve, flip to `idle`, give back what was refused, look what stands.
  statement {
    sid       = "ReservesRuns"
    actions   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
    resources = [local.arn.locks_table]
  }

  statement {
    sid       = "WritesRows"
    actions   = ["dynamodb:BatchWriteItem"]
    resources = [local.arn.orders_table]
  }

  statement {
    sid     = "UploadsBundlesCodeAndPlans"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/exec/*/exec.zip",
      "${local.arn.internal_bucket}/tmp/exec/*/code/*.zip",
      "${local.arn.internal_bucket}/tmp/exec/*/plan.json",
    ]
  }

  # The first message of a run. And each order's CALLBACK_URL is signed here: what is done with it is done as this role.
  statement {
    sid       = "WakesRunsAndSignsCallbackUrls"
    actions   = ["s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/callbacks/runs/*/result.json"]
  }

  # Jobs (`payload_s3_uri`) and code (`s3_location`) that users put into the internal bucket, anywhere but …
  statement {
    sid       = "ReadsSourcesInTheInternalBucket"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.internal_bucket}/*"]
  }

  # … where the engine keeps its own. Jobs that name those are refused by `validate`; this holds if that fails. What is
  # left of `tmp/` are plans, `tmp/exec/<run_id>/plan.json`: the one of the run that `rerun_of` names is read.
  statement {
    sid     = "ReadsNothingOfTheEngineButPlans"
    effect  = "Deny"
    actions = ["s3:GetObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/callbacks/*",
      "${local.arn.internal_bucket}/tmp/claims/*",
      "${local.arn.internal_bucket}/tmp/exec/*/*/*",
      "${local.arn.internal_bucket}/logs/*",
      "${local.arn.internal_bucket}/worker/*",
    ]
  }

  # The run's own key, written before anything can run and deleted when a submission fails.
  statement {
    sid       = "KeepsKeysOfRuns"
    actions   = ["ssm:DeleteParameter", "ssm:PutParameter"]
    resources = [local.arn.run_keys]
  }

  statement {
    sid       = "StartsWatchdogs"
    actions   = ["states:StartExecution"]
    resources = [local.arn.state_machine]
  }

  # Is there a document that a job names? It may name the engine's own as well.
  statement {
    sid       = "LooksForTheEnginesDocument"
    actions   = ["ssm:DescribeDocument"]
    resources = [local.arn.ssm_document]
  }

  # S3 says that an object is missing (404) only to those who may list its bucket, else 403; the embedded AWS always
  # says it. There is no condition on `s3:prefix`, because a request for an object has none, and the condition would
  # never hold.
  statement {
    sid       = "UnrecordedNotFound"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.internal_bucket]
  }

  # Lambda itself sends what the function did not take, with the function's role.
  statement {
    sid       = "UnrecordedDeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [local.arn.intake_dead_letters]
  }
}

# --- What jobs may name, by the variables of the deployment. Each of them is absent when its list is empty. ---

data "aws_iam_policy_document" "intake_parameters" {
  count = length(local.job_parameters) > 0 ? 1 : 0

  statement {
    sid       = "ReadsParametersOfJobs"
    actions   = ["ssm:GetParameters"]
    resources = local.job_parameters
  }
}

data "aws_iam_policy_document" "intake_sops_keys" {
  count = length(local.job_sops_keys) > 0 ? 1 : 0

  statement {
    sid       = "ReadsKeysThatJobsBring"
    actions   = ["ssm:GetParameters"]
    resources = local.job_sops_keys
  }
}

data "aws_iam_policy_document" "intake_secrets" {
  count = length(local.job_secrets) > 0 ? 1 : 0

  statement {
    sid       = "ReadsSecretsOfJobs"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = local.job_secrets
  }
}

data "aws_iam_policy_document" "intake_sources" {
  count = length(local.job_source_objects) > 0 ? 1 : 0

  statement {
    sid       = "ReadsSourceBuckets"
    actions   = ["s3:GetObject"]
    resources = local.job_source_objects
  }
}

data "aws_iam_policy_document" "intake_documents" {
  count = length(local.job_documents) > 0 ? 1 : 0

  statement {
    sid       = "LooksForDocumentsOfJobs"
    actions   = ["ssm:DescribeDocument"]
    resources = local.job_documents
  }
}

data "aws_iam_policy_document" "intake_kms" {
  count = length(var.credential_kms_key_arns) > 0 ? 1 : 0

  # The embedded AWS has no KMS. Parameter Store, Secrets Manager and S3 decrypt as whoever asks them.
  statement {
    sid       = "UnrecordedKmsOfJobs"
    actions   = ["kms:Decrypt"]
    resources = var.credential_kms_key_arns

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values = [
        "s3.${var.region}.amazonaws.com",
        "secretsmanager.${var.region}.amazonaws.com",
        "ssm.${var.region}.amazonaws.com",
      ]
    }
  }
}

data "aws_iam_policy_document" "intake_jobs" {
  count = local.jobs_may_name_something ? 1 : 0

  source_policy_documents = concat(
    data.aws_iam_policy_document.intake_parameters[*].json,
    data.aws_iam_policy_document.intake_sops_keys[*].json,
    data.aws_iam_policy_document.intake_secrets[*].json,
    data.aws_iam_policy_document.intake_sources[*].json,
    data.aws_iam_policy_document.intake_documents[*].json,
    data.aws_iam_policy_document.intake_kms[*].json,
  )
}

locals {
  jobs_may_name_something = length(concat(
    local.job_parameters, local.job_sops_keys, local.job_secrets, local.job_source_objects, local.job_documents,
    var.credential_kms_key_arns,
  )) > 0
}

resource "aws_iam_role_policy" "init_job_jobs" {
  count = local.jobs_may_name_something ? 1 : 0

  name   = "jobs"
  role   = aws_iam_role.init_job.id
  policy = data.aws_iam_policy_document.intake_jobs[0].json
}

resource "aws_iam_role_policy" "ssm_config_jobs" {
  count = local.jobs_may_name_something ? 1 : 0

  name   = "jobs"
  role   = aws_iam_role.ssm_config.id
  policy = data.aws_iam_policy_document.intake_jobs[0].json
}

# --- Logs: to each function its own group ---

data "aws_iam_policy_document" "init_job_logs" {
  # Lambda itself writes what the function prints, with the function's role. The group is made by Terraform.
  statement {
    sid       = "UnrecordedLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn.init_job_logs}:*"]
  }
}

data "aws_iam_policy_document" "ssm_config_logs" {
  # Lambda itself writes what the function prints, with the function's role. The group is made by Terraform.
  statement {
    sid       = "UnrecordedLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn.ssm_config_logs}:*"]
  }
}

resource "aws_iam_role_policy" "init_job_logs" {
  name   = "logs"
  role   = aws_iam_role.init_job.id
  policy = data.aws_iam_policy_document.init_job_logs.json
}

resource "aws_iam_role_policy" "ssm_config_logs" {
  name   = "logs"
  role   = aws_iam_role.ssm_config.id
  policy = data.aws_iam_policy_document.ssm_config_logs.json
}
