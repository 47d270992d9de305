# The door: an HTTP API with two routes, both for callers that IAM knows (SigV4). Who may call is decided by IAM
# policies; ready-made ones are in iam_policies.tf. Nothing else is served: another method or path is a 404 of the
# API's own.

resource "aws_apigatewayv2_api" "api" {
  name          = var.prefix
  description   = "Submissions to the execution engine."
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "init" {
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.function["init_job"].invoke_arn
  payload_format_version = "2.0"
  # The API's most. A submission that takes longer goes on; asked again under the same run id, it gives its answer.
  timeout_milliseconds = 30000
}

resource "aws_apigatewayv2_integration" "ssm" {
  api_id                 = aws_apigatewayv2_api.api.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.function["ssm_config"].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "init" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "POST /init"
  authorization_type = "AWS_IAM"
  target             = "integrations/${aws_apigatewayv2_integration.init.id}"
}

resource "aws_apigatewayv2_route" "ssm" {
  api_id             = aws_apigatewayv2_api.api.id
  route_key          = "POST /ssm"
  authorization_type = "AWS_IAM"
  target             = "integrations/${aws_apigatewayv2_integration.ssm.id}"
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.api.id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit    = var.api_rate_limit
    throttling_burst_limit   = var.api_burst_limit
    detailed_metrics_enabled = true
  }

  # Who asked what and how it ended; no header and no body, so neither a signature nor a job.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.api.arn
    format = jsonencode({
      time              = "$context.requestTime"
      request_id        = "$context.requestId"
      route             = "$context.routeKey"
      status            = "$context.status"
      caller            = "$context.identity.userArn"
      source_ip         = "$context.identity.sourceIp"
      user_agent        = "$context.identity.userAgent"
      response_bytes    = "$context.responseLength"
      response_ms       = "$context.responseLatency"
      integration_error = "$context.integrationErrorMessage"
      gateway_error     = "$context.error.message"
    })
  }
}
