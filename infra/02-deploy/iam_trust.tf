# Who may take on the roles: one service each, and for this account's own resources alone. A service that acts for
# somebody else's resource says so in `aws:SourceAccount` and `aws:SourceArn`, and is refused (the confused deputy).

data "aws_iam_policy_document" "trust_lambda" {
  statement {
    sid     = "Lambda"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    # "IfExists": AWS documents these keys for CodeBuild and Step Functions, not for Lambda's execution roles, and a
    # condition on a key that is not sent would keep every function from starting. Where it is sent it must fit. What
    # keeps others out in any case is that only who has iam:PassRole in this account can give a function this role.
    condition {
      test     = "StringEqualsIfExists"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# CodeBuild sends both keys when it takes on a project's role, and the ARN is the project's
# (https://github.com/awslabs/aws-deployment-framework/pull/247 met it there).
data "aws_iam_policy_document" "trust_codebuild" {
  statement {
    sid     = "Codebuild"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [local.arn.codebuild_project]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# As https://docs.aws.amazon.com/step-functions/latest/dg/procedure-create-iam-role.html has it.
data "aws_iam_policy_document" "trust_step_functions" {
  statement {
    sid     = "StepFunctions"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["states.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [local.arn.state_machine]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}
