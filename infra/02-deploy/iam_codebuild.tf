# The role of the worker's CodeBuild project: the worker's policy, and what CodeBuild itself does with it.

resource "aws_iam_role" "codebuild" {
  name                 = "${var.prefix}-codebuild-${var.region}"
  description          = "Builds of the execution engine ${var.prefix}."
  assume_role_policy   = data.aws_iam_policy_document.trust_codebuild.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "codebuild_own" {
  name   = "own"
  role   = aws_iam_role.codebuild.id
  policy = data.aws_iam_policy_document.runs_orders.json
}

resource "aws_iam_role_policy" "codebuild_service" {
  name   = "service"
  role   = aws_iam_role.codebuild.id
  policy = data.aws_iam_policy_document.codebuild_service.json
}

data "aws_iam_policy_document" "codebuild_service" {
  # CodeBuild itself writes what the build prints. The group is made by Terraform.
  statement {
    sid       = "UnrecordedLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn.codebuild_logs}:*"]
  }

  # CodeBuild itself pulls the image before the worker is there.
  statement {
    sid       = "UnrecordedImagePull"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [local.arn.image_repository]
  }

  # For the same.
  statement {
    sid     = "UnrecordedImageLogin"
    actions = ["ecr:GetAuthorizationToken"]
    # The call takes no resource: the login is to the account's whole registry, and what may be pulled is said above.
    resources = ["*"]
  }
}
