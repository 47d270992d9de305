# The role of watchdog_check: it ends what is late or lost, through the same claims as the orchestrator, and wakes
# runs. It starts nothing and opens nothing.

resource "aws_iam_role" "watchdog_check" {
  name                 = "${local.name.watchdog_check}-${var.region}"
  description          = "Function watchdog_check of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_lambda.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "watchdog_check_own" {
  name   = "own"
  role   = aws_iam_role.watchdog_check.id
  policy = data.aws_iam_policy_document.watchdog_check.json
}

data "aws_iam_policy_document" "watchdog_check" {

  # Whether the run is completed, and when its deadline is.
  statement {
    sid       = "LooksAtRuns"
    actions   = ["dynamodb:GetItem"]
    resources = [local.arn.locks_table]
  }

  # Is there a result; the results of orders and instances that it ends; the tick's wake-up.
  statement {
    sid       = "ReadsAndWritesResults"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/callbacks/runs/*/result.json"]
  }

  # Who has the order; takes the claim for the engine, asks workers to stop.
  statement {
    sid       = "ReadsAndWritesClaims"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn.internal_bucket}/tmp/claims/*.json"]
  }

  statement {
    sid       = "ReadsPinnedInstances"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.internal_bucket}/tmp/exec/*/targets.json"]
  }

  # Which instances have reported. Listing also makes S3 say 404 of a missing object instead of 403: for that there
  # must be no condition on `s3:prefix`, because a request for an object has none.
  statement {
    sid       = "ListsResults"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.internal_bucket]
  }

  # When the run is completed and its key is still there.
  statement {
    sid       = "DeletesKeysOfRuns"
    actions   = ["ssm:DeleteParameter"]
    resources = [local.arn.run_keys]
  }

  # The last means to stop a worker that was asked and did not.
  statement {
    sid       = "StopsBuilds"
    actions   = ["codebuild:StopBuild"]
    resources = [local.arn.codebuild_project]
  }

  # The same on instances.
  statement {
    sid     = "CancelsCommands"
    actions = ["ssm:CancelCommand"]
    # The call takes no resource, as commands have no ARN, and knows no condition on the document or the instance
    # (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html).
    resources = ["*"]
  }

  # Which order a command was, and how it ended.
  statement {
    sid     = "LooksAtCommands"
    actions = ["ssm:GetCommandInvocation"]
    # The call takes no resource: commands have no ARN.
    resources = ["*"]
  }

  # Lambda itself sends what the function did not take.
  statement {
    sid       = "UnrecordedDeadLetters"
    actions   = ["sqs:SendMessage"]
    resources = [local.arn.watchdog_check_dead_letters]
  }

  # Lambda itself writes what the function prints. The group is made by Terraform.
  statement {
    sid       = "UnrecordedLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn.watchdog_check_logs}:*"]
  }
}
