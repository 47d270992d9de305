# The role of the orchestrator: it works on runs, dispatches orders to all targets, and signs the URLs by which
# instances reach what is theirs. It reads no credential of a job but the key that opens a bundle.

resource "aws_iam_role" "orchestrator" {
  name                 = "${local.name.orchestrator}-${var.region}"
  description          = "Function orchestrator of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_lambda.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "orchestrator_own" {
  name   = "own"
  role   = aws_iam_role.orchestrator.id
  policy = data.aws_iam_policy_document.orchestrator.json
}

data "aws_iam_policy_document" "orchestrator" {

  # --- Tables ---

  # Acquire, deposit, checkpoint, commit: each one conditional update, which answers with the item.
  statement {
    sid       = "HoldsLeases"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.arn.locks_table]
  }

  statement {
    sid       = "RecordsOrders"
    actions   = ["dynamodb:UpdateItem"]
    resources = [local.arn.orders_table]
  }

  statement {
    sid       = "WritesEvents"
    actions   = ["dynamodb:BatchWriteItem"]
    resources = [local.arn.order_events_table]
  }

  # --- Objects ---

  # The plan; an order's bundle and the instances it is pinned to; what it signs for instances (bundle, code, dispatch
  # document).
  statement {
    sid       = "ReadsPlansAndBundles"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.internal_bucket}/tmp/exec/*"]
  }

  statement {
    sid     = "PinsInstancesAndWritesDispatchDocuments"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/exec/*/targets.json",
      "${local.arn.internal_bucket}/tmp/exec/*/dispatch.json",
    ]
  }

  # They hold secrets in clear, for no longer than their order lasts.
  statement {
    sid       = "DeletesDispatchDocuments"
    actions   = ["s3:DeleteObject"]
    resources = ["${local.arn.internal_bucket}/tmp/exec/*/dispatch.json"]
  }

  # Reads what was reported; writes the results of orders that the engine ends, those of orders on instances, and the
  # wake-up when its time is over. What instances report by signed URLs is written as this role too.
  statement {
    sid       = "ReadsAndWritesResults"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/callbacks/runs/*/result.json"]
  }

  # Takes claims for the engine and asks workers to stop; instances claim by signed URLs.
  statement {
    sid       = "ReadsAndWritesClaims"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/claims/*.json"]
  }

  # Never written by itself: instances put their logs by URLs that it signed. Recorded as calls of `instance`.
  statement {
    sid       = "SignsLogsOfInstances"
    actions   = ["s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/logs/*.log"]
  }

  # Which worker fits which machine; instances fetch the binaries by URLs that it signed.
  statement {
    sid       = "ReadsWorkersForInstances"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.internal_bucket}/worker/*"]
  }

  # What was reported to a run, or to an order by its instances. Listing also makes S3 say 404 of a missing object
  # instead of 403, here and to instances by their signed URLs: for that there must be no condition on `s3:prefix`,
  # because a request for an object has none.
  statement {
    sid       = "ListsResults"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.internal_bucket]
  }

  statement {
    sid       = "WritesDone"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.done_bucket}/*/done"]
  }

  # For 404 instead of 403 when `done` vanished between its write and the look at it: then the pass is repeated.
  statement {
    sid       = "UnrecordedNotFound"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.done_bucket]
  }

  # --- Keys of runs ---

  # Opens the bundle of an order for its instances; deletes the key when the run has ended.
  statement {
    sid       = "ReadsAndDeletesKeysOfRuns"
    actions   = ["ssm:DeleteParameter", "ssm:GetParameter"]
    resources = [local.arn.run_keys]
  }

  # --- Watchdogs and targets ---

  statement {
    sid       = "StartsWatchdogs"
    actions   = ["states:StartExecution"]
    resources = [local.arn.state_machine]
  }

  # When a dispatch is repeated: since when its watchdog runs.
  statement {
    sid       = "LooksAtWatchdogs"
    actions   = ["states:DescribeExecution"]
    resources = [local.arn.executions]
  }

  statement {
    sid       = "InvokesWorkers"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.arn.worker]
  }

  statement {
    sid       = "StartsAndStopsBuilds"
    actions   = ["codebuild:StartBuild", "codebuild:StopBuild"]
    resources = [local.arn.codebuild_project]
  }

  # SendCommand needs both: the document …
  statement {
    sid       = "SendsCommandsByTheEnginesDocument"
    actions   = ["ssm:SendCommand"]
    resources = [local.arn.ssm_document]
  }

  # … and the instances, by their tag. Commands are root there, so whose instances these are is said by their owners.
  statement {
    sid       = "SendsCommandsToTaggedInstances"
    actions   = ["ssm:SendCommand"]
    resources = [local.arn.ec2_instances, local.arn.managed_instances]

    condition {
      test     = "StringLike"
      variable = "ssm:resourceTag/${var.ssm_instance_tag.key}"
      values   = var.ssm_instance_tag.values
    }
  }

  statement {
    sid     = "FindsInstances"
    actions = ["ssm:DescribeInstanceInformation"]
    # The call takes no resource: it lists instances.
    resources = ["*"]
  }

  statement {
    sid     = "CancelsCommands"
    actions = ["ssm:CancelCommand"]
    # The call takes no resource, as commands have no ARN, and knows no condition on the document or the instance
    # (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html).
    resources = ["*"]
  }

  # --- What Lambda does with the role ---

  # Lambda itself sends what the function did not take.
  statement {
    sid       = "UnrecordedDeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [local.arn.orchestrator_dead_letters]
  }

  # Lambda itself writes what the function prints. The group is made by Terraform.
  statement {
    sid       = "UnrecordedLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn.orchestrator_logs}:*"]
  }
}

# --- What jobs may name, by the variables of the deployment ---

data "aws_iam_policy_document" "orchestrator_documents" {
  count = length(local.job_documents) > 0 ? 1 : 0

  statement {
    sid       = "SendsCommandsByDocumentsOfJobs"
    actions   = ["ssm:SendCommand"]
    resources = local.job_documents
  }
}

resource "aws_iam_role_policy" "orchestrator_documents" {
  count = length(local.job_documents) > 0 ? 1 : 0

  name   = "documents"
  role   = aws_iam_role.orchestrator.id
  policy = data.aws_iam_policy_document.orchestrator_documents[0].json
}

# Whoever opens bundles also reads keys that jobs bring: the orchestrator for instances, and the workers.
data "aws_iam_policy_document" "job_sops_keys" {
  count = length(local.job_sops_keys) > 0 ? 1 : 0

  statement {
    sid       = "ReadsKeysThatJobsBring"
    actions   = ["ssm:GetParameter"]
    resources = local.job_sops_keys
  }
}

data "aws_iam_policy_document" "job_sops_keys_kms" {
  count = length(local.job_sops_keys) > 0 && length(var.credential_kms_key_arns) > 0 ? 1 : 0

  # The embedded AWS has no KMS. Parameter Store decrypts as whoever asks it.
  statement {
    sid       = "UnrecordedKmsOfKeysThatJobsBring"
    actions   = ["kms:Decrypt"]
    resources = var.credential_kms_key_arns

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["ssm.${var.region}.amazonaws.com"]
    }

    # Only for these parameters: Parameter Store encrypts each under its own name.
    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = local.job_sops_keys
    }
  }
}

data "aws_iam_policy_document" "job_sops_keys_all" {
  count = length(local.job_sops_keys) > 0 ? 1 : 0

  source_policy_documents = concat(
    data.aws_iam_policy_document.job_sops_keys[*].json,
    data.aws_iam_policy_document.job_sops_keys_kms[*].json,
  )
}

resource "aws_iam_role_policy" "job_sops_keys" {
  for_each = length(local.job_sops_keys) > 0 ? {
    orchestrator = aws_iam_role.orchestrator.id
    worker       = aws_iam_role.worker.id
    codebuild    = aws_iam_role.codebuild.id
  } : {}

  name   = "sops-keys"
  role   = each.value
  policy = data.aws_iam_policy_document.job_sops_keys_all[0].json
}
