# Queues of what was given up: events that a function did not take after its last attempt, and events that EventBridge
# could not hand over. Nobody reads them but people; each has an alarm (cloudwatch.tf). docs/OPERATIONS.md says what
# to do.

locals {
  # SQS's most: time enough to come back from a holiday. Nothing waits for these.
  dead_letter_retention_seconds = 1209600
}

# Notifications of S3 that the orchestrator did not take. The run itself goes on with the next tick.
resource "aws_sqs_queue" "orchestrator_dead_letters" {
  name                              = local.name.orchestrator_dead_letters
  message_retention_seconds         = local.dead_letter_retention_seconds
  sqs_managed_sse_enabled           = local.has_kms_key ? null : true
  kms_master_key_id                 = local.kms_key_arn
  kms_data_key_reuse_period_seconds = local.has_kms_key ? 300 : null
}

# Ends of builds, commands and workers that watchdog_check was not told or did not take. Their orders end by their time.
resource "aws_sqs_queue" "watchdog_check_dead_letters" {
  name                              = local.name.watchdog_check_dead_letters
  message_retention_seconds         = local.dead_letter_retention_seconds
  sqs_managed_sse_enabled           = local.has_kms_key ? null : true
  kms_master_key_id                 = local.kms_key_arn
  kms_data_key_reuse_period_seconds = local.has_kms_key ? 300 : null
}

# Submissions by SNS or by an asynchronous invoke, whose sender waits for no answer, that could not be accepted.
resource "aws_sqs_queue" "intake_dead_letters" {
  name                              = local.name.intake_dead_letters
  message_retention_seconds         = local.dead_letter_retention_seconds
  sqs_managed_sse_enabled           = local.has_kms_key ? null : true
  kms_master_key_id                 = local.kms_key_arn
  kms_data_key_reuse_period_seconds = local.has_kms_key ? 300 : null
}

resource "aws_sqs_queue_policy" "orchestrator_dead_letters" {
  queue_url = aws_sqs_queue.orchestrator_dead_letters.id
  policy    = data.aws_iam_policy_document.orchestrator_dead_letters.json
}

resource "aws_sqs_queue_policy" "watchdog_check_dead_letters" {
  queue_url = aws_sqs_queue.watchdog_check_dead_letters.id
  policy    = data.aws_iam_policy_document.watchdog_check_dead_letters.json
}

resource "aws_sqs_queue_policy" "intake_dead_letters" {
  queue_url = aws_sqs_queue.intake_dead_letters.id
  policy    = data.aws_iam_policy_document.intake_dead_letters.json
}

data "aws_iam_policy_document" "orchestrator_dead_letters" {
  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.arn.orchestrator_dead_letters]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

data "aws_iam_policy_document" "watchdog_check_dead_letters" {
  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.arn.watchdog_check_dead_letters]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # EventBridge has no role for this; it may for these two rules alone. Their ARNs hold the account. `aws:SourceAccount`
  # is not asked for: what EventBridge documents for dead letters is the ARN
  # (https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html), it warns that with the account it
  # cannot invoke a function (…/eb-troubleshooting.html), and an event that is refused here is lost without a word.
  statement {
    sid       = "EventsThatCouldNotBeHandedOver"
    actions   = ["sqs:SendMessage"]
    resources = [local.arn.watchdog_check_dead_letters]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.arn.codebuild_rule, local.arn.ssm_rule]
    }
  }
}

data "aws_iam_policy_document" "intake_dead_letters" {
  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [local.arn.intake_dead_letters]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}
