# The project whose builds are orders. It has no source and no artifacts: each StartBuild brings the order's names in
# variables of its own, and the worker in the image does the rest. The buildspec is the file that the embedded AWS runs.

resource "aws_codebuild_project" "worker" {
  name         = local.name.codebuild_project
  description  = "Runs one order of the execution engine."
  service_role = aws_iam_role.codebuild.arn

  # CodeBuild's most. Each StartBuild says its own times, from those of its order; these hold for builds started by
  # hand.
  build_timeout  = 2160
  queued_timeout = 480

  concurrent_build_limit = var.codebuild_concurrent_builds

  artifacts {
    type = "NO_ARTIFACTS"
  }

  source {
    type      = "NO_SOURCE"
    buildspec = file("${path.module}/buildspec.yml")
  }

  environment {
    type         = var.architecture == "arm64" ? "ARM_CONTAINER" : "LINUX_CONTAINER"
    compute_type = var.codebuild_compute_type
    image        = local.image_uri
    # The image is in a repository of one's own, which the project's role may pull from.
    image_pull_credentials_type = "SERVICE_ROLE"
    # No Docker daemon: with one, commands could become root of the build's machine and read the role's credentials.
    privileged_mode = false

    dynamic "environment_variable" {
      for_each = local.environment.codebuild

      content {
        name  = environment_variable.key
        value = environment_variable.value
        type  = "PLAINTEXT"
      }
    }
  }

  logs_config {
    cloudwatch_logs {
      status     = "ENABLED"
      group_name = aws_cloudwatch_log_group.codebuild.name
    }

    s3_logs {
      status = "DISABLED"
    }
  }

  dynamic "vpc_config" {
    for_each = local.is_in_vpc ? [true] : []

    content {
      vpc_id             = var.vpc_id
      subnets            = var.subnet_ids
      security_group_ids = var.security_group_ids
    }
  }

  # CodeBuild asks at once whether the role may make network interfaces.
  depends_on = [aws_iam_role_policy.codebuild_own, aws_iam_role_policy.codebuild_network]
}
