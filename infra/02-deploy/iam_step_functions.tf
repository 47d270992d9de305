# The role of the watchdog's state machine: it sees whether there is a result, invokes watchdog_check, and does nothing
# else of the engine.

resource "aws_iam_role" "step_functions" {
  name                 = "${local.name.state_machine}-${var.region}"
  description          = "State machine of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_step_functions.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "step_functions_own" {
  name   = "own"
  role   = aws_iam_role.step_functions.id
  policy = data.aws_iam_policy_document.step_functions.json
}

data "aws_iam_policy_document" "step_functions" {

  # Recorded as calls of `states`.
  statement {
    sid       = "InvokesWatchdogCheck"
    actions   = ["lambda:InvokeFunction"]
    resources = [local.arn.watchdog_check]
  }

  # Recorded as calls of `states`. HeadObject needs the right to read. Without the right to list the bucket S3 says 403
  # of what is not there, and not 404: to the state machine any refusal means that watchdog_check has to look, and
  # listing would show every key of the bucket, as it knows no condition that holds for requests for an object.
  statement {
    sid       = "LooksForResults"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.internal_bucket}/tmp/callbacks/runs/*"]
  }

  # Step Functions itself sets up the delivery of its log; the embedded AWS has no log of it.
  statement {
    sid = "UnrecordedLogDelivery"
    actions = [
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    # None of these calls takes a resource, as deliveries have no ARN.
    resources = ["*"]
  }
}
