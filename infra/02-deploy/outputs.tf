# What others need to know of a deployment. The first part are the engine's variables in lower case and without their
# prefix (docs/CONTRACT.md, section 6), by which tests and clients find the stack.

output "orders_table" {
  description = "Table of rows, one an order."
  value       = aws_dynamodb_table.orders.name
}

output "order_events_table" {
  description = "Table of events."
  value       = aws_dynamodb_table.order_events.name
}

output "locks_table" {
  description = "Table of run items."
  value       = aws_dynamodb_table.locks.name
}

output "internal_bucket" {
  description = "Bucket of bundles, results, claims, logs and workers for instances."
  value       = aws_s3_bucket.internal.id
}

output "done_bucket" {
  description = "Bucket of `done` objects."
  value       = aws_s3_bucket.done.id
}

output "worker_lambda" {
  description = "Name of the worker function."
  value       = aws_lambda_function.function["worker"].function_name
}

output "codebuild_project" {
  description = "Name of the worker's project."
  value       = aws_codebuild_project.worker.name
}

output "watchdog_sfn" {
  description = "ARN of the watchdog's state machine."
  value       = aws_sfn_state_machine.watchdog.arn
}

output "ssm_document" {
  description = "Name of the document that runs an order on an instance."
  value       = aws_ssm_document.run_commands.name
}

output "command_user" {
  description = "User that commands run as in a build."
  value       = var.codebuild_command_user
}

output "event_ttl_seconds" {
  description = "How long events are kept."
  value       = var.event_ttl_seconds
}

output "ssm_prefix" {
  description = "First path element of the engine's own parameters."
  value       = local.ssm_prefix
}

output "git_hosts" {
  description = "Hosts that jobs may fetch code from, separated by commas."
  value       = join(",", var.git_hosts)
}

output "account_id" {
  description = "Account of the deployment."
  value       = local.account
}

output "source_buckets" {
  description = "Further buckets that jobs may name, separated by commas."
  value       = join(",", var.source_buckets)
}

output "max_job_timeout" {
  description = "Longest `job_timeout`, in seconds."
  value       = var.max_job_timeout
}

output "max_parallel" {
  description = "Most orders of one run at once, per target."
  value       = local.max_parallel
}

output "otlp_headers_parameter" {
  description = "Parameter of the headers for the collector of traces; empty when there is none."
  value       = local.has_otlp_headers ? local.otlp_headers : ""
}

output "api_url" {
  description = "Where jobs are submitted: POST <api_url>/init and <api_url>/ssm."
  value       = aws_apigatewayv2_api.api.api_endpoint
}

output "region" {
  description = "Region of the deployment."
  value       = var.region
}

# --- For deploying and operating ---

output "prefix" {
  description = "What every name begins with."
  value       = var.prefix
}

output "image_uri" {
  description = "Image that functions and builds run."
  value       = local.image_uri
}

output "functions" {
  description = "Names of the functions, by role."
  value       = { for role, function in aws_lambda_function.function : role => function.function_name }
}

output "dead_letter_queues" {
  description = "URLs of the queues of what was given up."
  value = {
    orchestrator   = aws_sqs_queue.orchestrator_dead_letters.url
    watchdog_check = aws_sqs_queue.watchdog_check_dead_letters.url
    intake         = aws_sqs_queue.intake_dead_letters.url
  }
}

output "policies" {
  description = "ARNs of the ready-made policies for people and pipelines."
  value = {
    submitter = aws_iam_policy.submitter.arn
    operator  = aws_iam_policy.operator.arn
    reader    = aws_iam_policy.reader.arn
  }
}

output "kms_key_arn" {
  description = "Key that the data is encrypted with; null when the services use their own."
  value       = local.kms_key_arn
}
