# What roles need whose functions send traces to a collector that asks for a header: the header, which is a secret.

data "aws_iam_policy_document" "otlp_headers" {
  count = local.has_otlp_headers ? 1 : 0

  statement {
    sid       = "ReadsHeadersForTheCollector"
    actions   = ["ssm:GetParameter"]
    resources = [local.arn.otlp_headers]
  }
}

resource "aws_iam_role_policy" "otlp_headers" {
  for_each = local.has_otlp_headers ? {
    init_job     = aws_iam_role.init_job.id
    ssm_config   = aws_iam_role.ssm_config.id
    orchestrator = aws_iam_role.orchestrator.id
    worker       = aws_iam_role.worker.id
    codebuild    = aws_iam_role.codebuild.id
  } : {}

  name   = "otlp-headers"
  role   = each.value
  policy = data.aws_iam_policy_document.otlp_headers[0].json
}
