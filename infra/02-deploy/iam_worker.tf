# The role of the worker on Lambda, and the policy that it shares with the one in CodeBuild: fetch an order, claim it,
# report. No table, no credential but the run's key. The commands themselves have no role at all: their environment is
# built from nothing, and the worker hides its own.

resource "aws_iam_role" "worker" {
  name                 = "${local.name.worker}-${var.region}"
  description          = "Function worker of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_lambda.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "worker_own" {
  name   = "own"
  role   = aws_iam_role.worker.id
  policy = data.aws_iam_policy_document.runs_orders.json
}

resource "aws_iam_role_policy" "worker_lambda" {
  name   = "lambda"
  role   = aws_iam_role.worker.id
  policy = data.aws_iam_policy_document.worker_lambda.json
}

# Also of the role in iam_codebuild.tf.
data "aws_iam_policy_document" "runs_orders" {
  statement {
    sid     = "FetchesBundlesAndCode"
    actions = ["s3:GetObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/exec/*/exec.zip",
      "${local.arn.internal_bucket}/tmp/exec/*/code/*.zip",
    ]
  }

  # Takes the claim; reads whose it is when that was unclear, and whether it is asked to stop.
  statement {
    sid       = "ClaimsOrders"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/claims/*.json"]
  }

  # When the signed CALLBACK_URL is refused, because the session that signed it has ended, the role makes the same
  # conditional PUT. It reads back which result stands when that was unclear.
  statement {
    sid       = "ReportsResults"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/callbacks/runs/*/result.json"]
  }

  # The patterns above are wider than what a worker writes: it wakes and cancels nothing, asks nobody to stop, and speaks
  # for no instance. That it replaces no result and no claim is said by the bucket's policy.
  statement {
    sid     = "WritesNothingForOthers"
    effect  = "Deny"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*/0000/result.json",
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*/_cancel/*",
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*/instances/*",
      "${local.arn.internal_bucket}/tmp/claims/*.stop.json",
      "${local.arn.internal_bucket}/tmp/claims/*/*/*",
    ]
  }

  statement {
    sid       = "WritesLogs"
    actions   = ["s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/logs/*.log"]
  }

  statement {
    sid       = "ReadsKeysOfRuns"
    actions   = ["ssm:GetParameter"]
    resources = [local.arn.run_keys]
  }

  # S3 says that an object is missing (404) only to those who may list its bucket, else 403; the embedded AWS always
  # says it. Workers look for a request to stop every 5 s, and mostly there is none. There is no condition on
  # `s3:prefix`, because a request for an object has none, and the condition would never hold.
  statement {
    sid       = "UnrecordedNotFound"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.internal_bucket]
  }
}

data "aws_iam_policy_document" "worker_lambda" {
  # Lambda itself tells watchdog_check of an invocation that failed (the on-failure destination), with the worker's
  # role. Nobody else may: credentials of a function's environment carry the function's ARN wherever they are used, and
  # what Lambda calls for itself has none, but for logs, traces and EFS
  # (https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html).
  statement {
    sid       = "UnrecordedOnFailureDestination"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.arn.watchdog_check]

    condition {
      test     = "Null"
      variable = "lambda:SourceFunctionArn"
      values   = ["true"]
    }
  }

  # Lambda itself writes what the function prints. The group is made by Terraform.
  statement {
    sid       = "UnrecordedLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn.worker_logs}:*"]
  }
}
