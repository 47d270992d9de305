# The five functions: one image, each with its own command, role, limits and log group. What they are given stands in
# locals.tf, what they may do in iam_*.tf, who may invoke them below.

resource "aws_lambda_function" "function" {
  #checkov:skip=CKV_AWS_50: The engine follows a run itself, by trace ids in rows, events and logs. X-Ray would need a permission on all resources for each role, and shows nothing of S3, CodeBuild or Run Command between the functions.
  #checkov:skip=CKV_AWS_173: The variables are names and limits and no secrets. Lambda encrypts them at rest with its own key in any case.
  #checkov:skip=CKV_AWS_272: Lambda signs code of zips only; images are named by tags that cannot be moved, in a repository of one's own.
  for_each = local.functions

  function_name = local.name[each.key]
  description   = each.value.description
  role          = local.function_roles[each.key]
  package_type  = "Image"
  image_uri     = local.image_uri
  architectures = [var.architecture]
  timeout       = each.value.timeout
  memory_size   = each.value.memory

  # The rest of the account's concurrency, at least 100, is left to the other functions, so that the engine goes on when
  # workers use up theirs: Lambda keeps further invocations of the worker in its queue.
  reserved_concurrent_executions = each.value.reserved

  ephemeral_storage {
    size = each.value.storage
  }

  image_config {
    # The image's ENTRYPOINT is the binary; each role is one of its arguments (crates/cli/src/args.rs).
    command = ["function", each.key]
  }

  environment {
    variables = local.environment[each.key]
  }

  logging_config {
    # The functions write JSON lines of their own.
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function[each.key].name
  }

  # What was given up after its last attempt. The worker has an on-failure destination instead.
  dynamic "dead_letter_config" {
    for_each = each.key == "worker" ? [] : [local.dead_letters[each.key]]

    content {
      target_arn = dead_letter_config.value
    }
  }

  dynamic "vpc_config" {
    for_each = local.is_in_vpc ? [true] : []

    content {
      subnet_ids         = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  lifecycle {
    precondition {
      condition = (
        local.is_in_vpc == (length(var.subnet_ids) > 0) && local.is_in_vpc == (length(var.security_group_ids) > 0)
      )
      error_message = "vpc_id, subnet_ids and security_group_ids: give all three, or none."
    }
  }

  # Lambda asks at once whether the role may send to the queue and make network interfaces.
  depends_on = [
    aws_iam_role_policy.init_job_own,
    aws_iam_role_policy.ssm_config_own,
    aws_iam_role_policy.orchestrator_own,
    aws_iam_role_policy.watchdog_check_own,
    aws_iam_role_policy.worker_own,
    aws_iam_role_policy.worker_lambda,
    aws_iam_role_policy.function_network,
    aws_iam_role_policy.function_kms,
  ]
}

locals {
  function_roles = {
    init_job       = aws_iam_role.init_job.arn
    ssm_config     = aws_iam_role.ssm_config.arn
    orchestrator   = aws_iam_role.orchestrator.arn
    watchdog_check = aws_iam_role.watchdog_check.arn
    worker         = aws_iam_role.worker.arn
  }

  dead_letters = {
    init_job       = aws_sqs_queue.intake_dead_letters.arn
    ssm_config     = aws_sqs_queue.intake_dead_letters.arn
    orchestrator   = aws_sqs_queue.orchestrator_dead_letters.arn
    watchdog_check = aws_sqs_queue.watchdog_check_dead_letters.arn
  }
}

# --- Asynchronous invocations ---

resource "aws_lambda_function_event_invoke_config" "orchestrator" {
  function_name = aws_lambda_function.function["orchestrator"].function_name
  # A pass that failed is repeated at once; later the tick does the same.
  maximum_retry_attempts = 2
  # After an hour sixty ticks have done what this notification asked for.
  maximum_event_age_in_seconds = 3600
}

resource "aws_lambda_function_event_invoke_config" "watchdog_check" {
  function_name          = aws_lambda_function.function["watchdog_check"].function_name
  maximum_retry_attempts = 2
  # Lambda's most: an order may have hours left, and its end by its watchdog is that far away.
  maximum_event_age_in_seconds = 21600
}

resource "aws_lambda_function_event_invoke_config" "worker" {
  function_name = aws_lambda_function.function["worker"].function_name
  # An order runs once. A second attempt would meet the claim of the first and end, and until then nobody would hear of
  # the failure.
  maximum_retry_attempts = 0
  # Lambda's most: while the worker's concurrency is used up, invocations wait here. How long an order may wait is its
  # `start_timeout`, and its watchdog sees to that.
  maximum_event_age_in_seconds = 21600

  destination_config {
    on_failure {
      destination = aws_lambda_function.function["watchdog_check"].arn
    }
  }
}

# S3 → orchestrator → S3 → … is a loop by design, and AWS stops loops that it sees after about 16 hops: a chain of 17
# orders would stand still. It ends by itself, as each order is dispatched once.
resource "aws_lambda_function_recursion_config" "orchestrator" {
  function_name  = aws_lambda_function.function["orchestrator"].function_name
  recursive_loop = "Allow"
}

resource "aws_lambda_function_recursion_config" "worker" {
  function_name  = aws_lambda_function.function["worker"].function_name
  recursive_loop = "Allow"
}

# --- Who may invoke what; the roles of Step Functions, the orchestrator and the worker say so of themselves ---

resource "aws_lambda_permission" "api_init" {
  statement_id  = "ApiInit"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["init_job"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.api.execution_arn}/*/POST/init"
}

resource "aws_lambda_permission" "api_ssm" {
  statement_id  = "ApiSsm"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["ssm_config"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.api.execution_arn}/*/POST/ssm"
}

resource "aws_lambda_permission" "results" {
  statement_id  = "Results"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["orchestrator"].function_name
  principal     = "s3.amazonaws.com"
  source_arn    = aws_s3_bucket.internal.arn
  # A bucket's ARN names no account: after this bucket is gone, somebody else could have one of its name.
  source_account = local.account
}

resource "aws_lambda_permission" "codebuild_events" {
  statement_id  = "CodebuildEvents"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["watchdog_check"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.codebuild.arn
}

resource "aws_lambda_permission" "ssm_events" {
  statement_id  = "SsmEvents"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.function["watchdog_check"].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.ssm.arn
}
