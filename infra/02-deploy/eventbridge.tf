# What AWS tells by itself of workers that have ended: builds and commands. Both go to watchdog_check, which ends an
# order whose worker is gone within seconds instead of at its timeout. The patterns are the files that the embedded
# AWS matches.

resource "aws_cloudwatch_event_rule" "codebuild" {
  name        = local.name.codebuild_rule
  description = "A build of the execution engine's project has ended."

  event_pattern = templatefile("${path.module}/codebuild-events.json", {
    codebuild_project = local.name.codebuild_project
  })
}

# The event names no document, so commands of others come too; watchdog_check leaves them alone.
resource "aws_cloudwatch_event_rule" "ssm" {
  name          = local.name.ssm_rule
  description   = "A command has ended on an instance."
  event_pattern = file("${path.module}/ssm-events.json")
}

resource "aws_cloudwatch_event_target" "codebuild" {
  rule = aws_cloudwatch_event_rule.codebuild.name
  arn  = aws_lambda_function.function["watchdog_check"].arn

  # EventBridge's most of both. A late event does no harm, as the claim must name its very build, and for an order of
  # many hours it is still early.
  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.watchdog_check_dead_letters.arn
  }
}

resource "aws_cloudwatch_event_target" "ssm" {
  rule = aws_cloudwatch_event_rule.ssm.name
  arn  = aws_lambda_function.function["watchdog_check"].arn

  retry_policy {
    maximum_event_age_in_seconds = 86400
    maximum_retry_attempts       = 185
  }

  dead_letter_config {
    arn = aws_sqs_queue.watchdog_check_dead_letters.arn
  }
}
