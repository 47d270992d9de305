# Logs, alarms, and one small dashboard. What to do when an alarm rings: docs/OPERATIONS.md.

# --- Logs ---

resource "aws_cloudwatch_log_group" "function" {
  for_each = local.functions

  name              = "/aws/lambda/${local.name[each.key]}"
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
}

resource "aws_cloudwatch_log_group" "codebuild" {
  name              = local.name.codebuild_logs
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
}

resource "aws_cloudwatch_log_group" "api" {
  name              = local.name.api_logs
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
}

resource "aws_cloudwatch_log_group" "state_machine" {
  name              = local.name.state_machine_logs
  retention_in_days = var.log_retention_days
  kms_key_id        = local.kms_key_arn
}

# --- Alarms. They tell of the engine, not of jobs: an order that fails is nothing to be woken for. ---

locals {
  # Five minutes: CloudWatch's usual step. What is made good by itself is gone after one of them.
  period = 300

  # Something was given up. One message is enough.
  dead_letter_alarms = {
    orchestrator = {
      queue = local.name.orchestrator_dead_letters
      text  = "The orchestrator did not take a result's notification. Its run goes on with the next tick."
    }
    watchdog_check = {
      queue = local.name.watchdog_check_dead_letters
      text  = "The end of a build, a command or a worker was not heard. Its order ends by its timeout."
    }
    intake = {
      queue = local.name.intake_dead_letters
      text  = "A submission without a waiting sender (SNS, asynchronous invoke) was not accepted."
    }
  }

  # Something fails again and again. A failed pass or look is repeated within a minute, so a fault that stays is seen in
  # three periods, and one that passes is not.
  failure_alarms = {
    orchestrator_errors = {
      function = local.name.orchestrator
      metric   = "Errors"
      text     = "Passes of the orchestrator keep failing."
    }
    watchdog_check_errors = {
      function = local.name.watchdog_check
      metric   = "Errors"
      text     = "Looks of the watchdog keep failing."
    }
    init_job_errors = {
      function = local.name.init_job
      metric   = "Errors"
      text     = "Submissions by /init keep failing."
    }
    ssm_config_errors = {
      function = local.name.ssm_config
      metric   = "Errors"
      text     = "Submissions by /ssm keep failing."
    }
    orchestrator_throttles = {
      function = local.name.orchestrator
      metric   = "Throttles"
      text     = "The account's concurrency is used up: the orchestrator waits."
    }
    watchdog_check_throttles = {
      function = local.name.watchdog_check
      metric   = "Throttles"
      text     = "The account's concurrency is used up: the watchdog waits."
    }
  }

  # The machine is made so that it never fails.
  execution_alarms = {
    failed    = "ExecutionsFailed"
    timed_out = "ExecutionsTimedOut"
  }
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  for_each = local.dead_letter_alarms

  alarm_name          = "${var.prefix}-${replace(each.key, "_", "-")}-dead-letters"
  alarm_description   = each.value.text
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = each.value.queue }
  statistic           = "Maximum"
  period              = local.period
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = local.failure_alarms

  alarm_name          = "${var.prefix}-${replace(each.key, "_", "-")}"
  alarm_description   = each.value.text
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  dimensions          = { FunctionName = each.value.function }
  statistic           = "Sum"
  period              = local.period
  evaluation_periods  = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

# The only permission of the stack that rests on a key being absent (iam_worker.tf, `UnrecordedOnFailureDestination`): if
# it is ever sent, this is where it shows.
resource "aws_cloudwatch_metric_alarm" "unheard_workers" {
  alarm_name          = "${var.prefix}-worker-unheard"
  alarm_description   = "Lambda could not tell the watchdog of a worker that failed. Its order ends by its timeout."
  namespace           = "AWS/Lambda"
  metric_name         = "DestinationDeliveryFailures"
  dimensions          = { FunctionName = local.name.worker }
  statistic           = "Sum"
  period              = local.period
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "api" {
  alarm_name          = "${var.prefix}-api-errors"
  alarm_description   = "The API keeps answering with errors of the engine's side."
  namespace           = "AWS/ApiGateway"
  metric_name         = "5xx"
  dimensions          = { ApiId = aws_apigatewayv2_api.api.id }
  statistic           = "Sum"
  period              = local.period
  evaluation_periods  = 3
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

resource "aws_cloudwatch_metric_alarm" "executions" {
  for_each = local.execution_alarms

  alarm_name          = "${var.prefix}-watchdog-${replace(each.key, "_", "-")}"
  alarm_description   = "An execution of the watchdog ended by itself: its order or run is not looked after any more."
  namespace           = "AWS/States"
  metric_name         = each.value
  dimensions          = { StateMachineArn = local.arn.state_machine }
  statistic           = "Sum"
  period              = local.period
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}

# --- Dashboard: is anything coming in, is it worked on, is anything wrong ---

resource "aws_cloudwatch_dashboard" "engine" {
  count = var.dashboard ? 1 : 0

  dashboard_name = local.name.dashboard
  dashboard_body = jsonencode({
    widgets = [
      {
        type = "metric", x = 0, y = 0, width = 8, height = 6
        properties = {
          title  = "Submissions"
          region = var.region
          stat   = "Sum"
          period = local.period
          metrics = [
            ["AWS/ApiGateway", "Count", "ApiId", aws_apigatewayv2_api.api.id],
            ["AWS/ApiGateway", "4xx", "ApiId", aws_apigatewayv2_api.api.id],
            ["AWS/ApiGateway", "5xx", "ApiId", aws_apigatewayv2_api.api.id],
          ]
        }
      },
      {
        type = "metric", x = 8, y = 0, width = 8, height = 6
        properties = {
          title  = "Orders under way"
          region = var.region
          stat   = "Maximum"
          period = local.period
          metrics = [
            ["AWS/Lambda", "ConcurrentExecutions", "FunctionName", local.name.worker],
            ["AWS/CodeBuild", "Builds", "ProjectName", local.name.codebuild_project, { stat = "Sum" }],
          ]
        }
      },
      {
        type = "metric", x = 16, y = 0, width = 8, height = 6
        properties = {
          title  = "Watchdogs"
          region = var.region
          stat   = "Sum"
          period = local.period
          metrics = [
            ["AWS/States", "ExecutionsStarted", "StateMachineArn", local.arn.state_machine],
            ["AWS/States", "ExecutionsSucceeded", "StateMachineArn", local.arn.state_machine],
            ["AWS/States", "ExecutionsFailed", "StateMachineArn", local.arn.state_machine],
          ]
        }
      },
      {
        type = "metric", x = 0, y = 6, width = 8, height = 6
        properties = {
          title   = "Errors of functions"
          region  = var.region
          stat    = "Sum"
          period  = local.period
          metrics = [for key in keys(local.functions) : ["AWS/Lambda", "Errors", "FunctionName", local.name[key]]]
        }
      },
      {
        type = "metric", x = 8, y = 6, width = 8, height = 6
        properties = {
          title   = "Throttled invocations"
          region  = var.region
          stat    = "Sum"
          period  = local.period
          metrics = [for key in keys(local.functions) : ["AWS/Lambda", "Throttles", "FunctionName", local.name[key]]]
        }
      },
      {
        type = "metric", x = 16, y = 6, width = 8, height = 6
        properties = {
          title  = "Dead letters"
          region = var.region
          stat   = "Maximum"
          period = local.period
          metrics = [for alarm in values(local.dead_letter_alarms) :
            ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", alarm.queue]
          ]
        }
      },
    ]
  })
}
