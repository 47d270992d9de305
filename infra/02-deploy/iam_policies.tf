# Ready-made policies for people and pipelines, to be attached to whatever they use:
#
#   submitter   submits jobs and sees how they end
#   reader      sees everything of runs but secrets: rows, events, results, logs, alarms
#   operator    reader, and cancels, stops, and looks after commands and dead letters
#
# They allow what docs/OPERATIONS.md tells each of them to do, where it does not say otherwise. None of them reads
# `tmp/exec/`: bundles are sealed, but an ssm order's dispatch document is not (s3.tf also says so to everybody else).
# So none has ssm:ListCommands either: it shows a command's parameters, and the one of an ssm order is the signed URL of
# that document. None writes `worker/`: what lies there runs as root on instances.

resource "aws_iam_policy" "submitter" {
  name        = "${var.prefix}-submitter-${var.region}"
  description = "Submits jobs to the execution engine ${var.prefix} and sees how they end."
  policy      = data.aws_iam_policy_document.submitter.json
}

resource "aws_iam_policy" "reader" {
  name        = "${var.prefix}-reader-${var.region}"
  description = "Sees rows, events, results and logs of the execution engine ${var.prefix}."
  policy      = data.aws_iam_policy_document.reader.json
}

resource "aws_iam_policy" "operator" {
  name        = "${var.prefix}-operator-${var.region}"
  description = "Sees and cancels runs of the execution engine ${var.prefix} and looks after dead letters."
  policy      = data.aws_iam_policy_document.operator.json
}

data "aws_iam_policy_document" "submitter" {
  source_policy_documents = data.aws_iam_policy_document.people_kms[*].json

  statement {
    sid     = "SubmitsJobs"
    actions = ["execute-api:Invoke"]
    resources = [
      "${aws_apigatewayv2_api.api.execution_arn}/$default/POST/init",
      "${aws_apigatewayv2_api.api.execution_arn}/$default/POST/ssm",
    ]
  }

  # Jobs too large for a request (`payload_s3_uri`), and code as a zip (`s3_location`).
  statement {
    sid     = "PutsLargeJobsAndCode"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arn.internal_bucket}/jobs/*",
      "${local.arn.internal_bucket}/sources/*",
    ]
  }

  statement {
    sid       = "SeesDone"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.done_bucket}/*/done"]
  }

  # So that a run that has not ended is a 404 and not a 403.
  statement {
    sid       = "SeesWhatIsNotDone"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.done_bucket]
  }

  statement {
    sid       = "SeesRows"
    actions   = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = [local.arn.orders_table, "${local.arn.orders_table}/index/run_id-order_num-index"]
  }
}

data "aws_iam_policy_document" "reader" {
  #checkov:skip=CKV_AWS_356: CloudWatch looks for alarms by the beginning of their names among all of them, and its documentation names `*` for it; the statement says so.
  source_policy_documents = data.aws_iam_policy_document.people_kms[*].json

  statement {
    sid     = "SeesRowsEventsAndRuns"
    actions = ["dynamodb:GetItem", "dynamodb:Query"]
    resources = [
      local.arn.orders_table,
      "${local.arn.orders_table}/index/run_id-order_num-index",
      local.arn.order_events_table,
      "${local.arn.order_events_table}/index/order_name-epoch-index",
      local.arn.locks_table,
    ]
  }

  statement {
    sid     = "SeesResultsClaimsLogsAndDone"
    actions = ["s3:GetObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*",
      "${local.arn.internal_bucket}/tmp/claims/*",
      "${local.arn.internal_bucket}/logs/*",
      "${local.arn.done_bucket}/*",
    ]
  }

  statement {
    sid       = "ListsObjects"
    actions   = ["s3:ListBucket"]
    resources = [local.arn.internal_bucket, local.arn.done_bucket]
  }

  statement {
    sid       = "SeesExecutions"
    actions   = ["states:DescribeExecution", "states:GetExecutionHistory"]
    resources = [local.arn.executions]
  }

  statement {
    sid       = "ListsExecutions"
    actions   = ["states:DescribeStateMachine", "states:ListExecutions"]
    resources = [local.arn.state_machine]
  }

  statement {
    sid       = "SeesBuilds"
    actions   = ["codebuild:BatchGetBuilds", "codebuild:BatchGetProjects", "codebuild:ListBuildsForProject"]
    resources = [local.arn.codebuild_project]
  }

  statement {
    sid     = "SeesFunctions"
    actions = ["lambda:GetFunctionConfiguration"]
    resources = [
      local.arn.init_job, local.arn.ssm_config, local.arn.orchestrator, local.arn.watchdog_check, local.arn.worker,
    ]
  }

  statement {
    sid     = "SeesLogs"
    actions = ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:StartQuery"]
    resources = [
      "${local.arn.init_job_logs}:*",
      "${local.arn.ssm_config_logs}:*",
      "${local.arn.orchestrator_logs}:*",
      "${local.arn.watchdog_check_logs}:*",
      "${local.arn.worker_logs}:*",
      "${local.arn.codebuild_logs}:*",
      "${local.arn.api_logs}:*",
      "${local.arn.state_machine_logs}:*",
    ]
  }

  # These take no resource, so whoever sees the alarms and numbers of the stack sees those of the account
  # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/permissions-reference-cw.html). What a query found
  # is told by its id; which groups it may ask is said above.
  statement {
    sid = "SeesAlarmsMetricsFindingsAndQuotas"
    actions = [
      "cloudwatch:DescribeAlarms",
      "cloudwatch:GetMetricData",
      "cloudwatch:ListMetrics",
      "lambda:GetAccountSettings",
      "logs:GetQueryResults",
      "servicequotas:GetServiceQuota",
      "servicequotas:ListServiceQuotas",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "SeesTheDashboard"
    actions   = ["cloudwatch:GetDashboard"]
    resources = [local.arn.dashboard]
  }

  statement {
    sid     = "CountsDeadLetters"
    actions = ["sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    resources = [
      local.arn.orchestrator_dead_letters, local.arn.watchdog_check_dead_letters, local.arn.intake_dead_letters,
    ]
  }
}

data "aws_iam_policy_document" "operator" {
  source_policy_documents = [data.aws_iam_policy_document.reader.json]

  # The object of docs/CONTRACT.md, section 5, that cancels an order or a run; and the wake-up of a run.
  statement {
    sid     = "CancelsAndWakesRuns"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*/_cancel/*/result.json",
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*/0000/result.json",
    ]
  }

  # Takes letters out, and sends them on to where they came from.
  statement {
    sid = "LooksAfterDeadLetters"
    actions = [
      "sqs:ChangeMessageVisibility",
      "sqs:DeleteMessage",
      "sqs:PurgeQueue",
      "sqs:ReceiveMessage",
    ]
    resources = [
      local.arn.orchestrator_dead_letters, local.arn.watchdog_check_dead_letters, local.arn.intake_dead_letters,
    ]
  }

  # A letter is sent again as the event that it holds.
  statement {
    sid       = "SendsLettersAgain"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.arn.orchestrator, local.arn.watchdog_check]
  }

  statement {
    sid       = "StopsBuilds"
    actions   = ["codebuild:StopBuild"]
    resources = [local.arn.codebuild_project]
  }

  # ListCommandInvocations shows how commands fare and the beginning of what they printed, those of others too, and no
  # parameters. That is why readers do not have it; they see what instances reported.
  statement {
    sid     = "SeesAndCancelsCommands"
    actions = ["ssm:CancelCommand", "ssm:ListCommandInvocations"]
    # The calls take no resource: commands have no ARN.
    resources = ["*"]
  }
}

# With a key of one's own, S3, DynamoDB and SQS decrypt as whoever asks them.
data "aws_iam_policy_document" "people_kms" {
  count = local.has_kms_key ? 1 : 0

  statement {
    sid       = "UsesTheKeyThroughItsServices"
    actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values = [
        "s3.${var.region}.amazonaws.com", "dynamodb.${var.region}.amazonaws.com", "sqs.${var.region}.amazonaws.com",
      ]
    }
  }
}
