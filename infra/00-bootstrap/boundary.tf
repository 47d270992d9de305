# The most that a role of the stack can have, whatever its policies say. The deploy role can write policies; without
# this it could write one that allows everything, give it to a function, and so be everybody. With it a stolen
# deployment reaches the stack and what is named here, and no more.
#
# Functions get what they need from the policies in 02-deploy, each far narrower than this.

locals {
  boundary_name = "${var.prefix}-deploy-boundary-${var.region}"

  buckets = "arn:${local.partition}:s3:::${var.prefix}-*-${local.account}-${var.region}"

  parameters = concat(
    [local.own.run_keys],
    [for path in var.ssm_parameter_prefixes :
      "arn:${local.partition}:ssm:${local.place}:parameter${endswith(path, "/") ? "${path}*" : path}"
    ],
  )
  # The ARN of a secret ends with a hyphen and six characters that Secrets Manager draws.
  secrets = [for name in var.secret_prefixes :
    "arn:${local.partition}:secretsmanager:${local.place}:secret:${endswith(name, "/") ? "${name}*" : "${name}-??????"}"
  ]
}

data "aws_iam_policy_document" "boundary" {
  statement {
    sid = "Data"
    actions = [
      "dynamodb:ConditionCheckItem",
      "dynamodb:BatchGetItem",
      "dynamodb:BatchWriteItem",
      "dynamodb:DeleteItem",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Query",
      "dynamodb:UpdateItem",
      "sqs:SendMessage",
    ]
    resources = [local.own.tables, "${local.own.tables}/index/*", local.own.queues]
  }

  statement {
    sid = "OwnBuckets"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:DeleteObject",
      "s3:GetObject",
      "s3:ListBucket",
      "s3:PutObject",
    ]
    resources = [local.buckets, "${local.buckets}/*"]
  }

  # State holds the names of everything; no order has any business there. Its name matches the one above.
  statement {
    sid       = "NotTheState"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
  }

  dynamic "statement" {
    for_each = length(var.source_buckets) > 0 ? [true] : []

    content {
      sid       = "SourceBuckets"
      actions   = ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"]
      resources = flatten([for name in var.source_buckets : ["arn:${local.partition}:s3:::${name}", "arn:${local.partition}:s3:::${name}/*"]])
    }
  }

  statement {
    sid = "Parameters"
    actions = [
      "ssm:AddTagsToResource",
      "ssm:DeleteParameter",
      "ssm:GetParameter",
      "ssm:GetParameters",
      "ssm:PutParameter",
    ]
    resources = local.parameters
  }

  dynamic "statement" {
    for_each = length(local.secrets) > 0 ? [true] : []

    content {
      sid       = "Secrets"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = local.secrets
    }
  }

  statement {
    sid = "StartAndStop"
    actions = [
      "codebuild:BatchGetBuilds",
      "codebuild:StartBuild",
      "codebuild:StopBuild",
      "lambda:InvokeFunction",
      "states:DescribeExecution",
      "states:StartExecution",
      "states:StopExecution",
    ]
    resources = [local.own.functions, local.own.machines, local.own.executions, local.own.projects]
  }

  # Commands are root on an instance and have what its role has, so only instances that their owners marked, here as in
  # 02-deploy. The deploy role can mark none.
  statement {
    sid       = "CommandsOnMarkedInstances"
    actions   = ["ssm:SendCommand"]
    resources = ["arn:${local.partition}:ec2:${local.place}:instance/*", "arn:${local.partition}:ssm:${local.place}:managed-instance/*"]

    condition {
      test     = "StringLike"
      variable = "ssm:resourceTag/${var.ssm_instance_tag.key}"
      values   = var.ssm_instance_tag.values
    }
  }

  statement {
    sid     = "CommandsByDocuments"
    actions = ["ssm:SendCommand"]
    resources = concat(
      [local.own.documents],
      [for name in var.ssm_document_names : "arn:${local.partition}:ssm:${local.place}:document/${name}"],
    )
  }

  # But for DescribeDocument, none of these takes a resource.
  statement {
    sid = "Instances"
    actions = [
      "ssm:CancelCommand",
      "ssm:DescribeDocument",
      "ssm:DescribeInstanceInformation",
      "ssm:GetCommandInvocation",
    ]
    resources = ["*"]
  }

  # Most of these take no resource.
  statement {
    sid = "RunInTheServices"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:CreateNetworkInterfacePermission",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
      "ec2:UnassignPrivateIpAddresses",
      "ecr:GetAuthorizationToken",
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "Logs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for group in [local.own.lambda_logs, local.own.build_logs, local.own.vended_logs] : "${group}:*"]
  }

  statement {
    sid       = "Image"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [local.own.repository]
  }

  # Keys of this account and region, if their own policies agree: those of the stack, and those that encrypt what jobs
  # name. Only through the services that hold the data, so for what a role may read there.
  statement {
    sid = "Keys"
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    resources = [local.own.keys]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [for service in ["dynamodb", "s3", "secretsmanager", "sqs", "ssm"] : "${service}.${var.region}.amazonaws.com"]
    }
  }
}

resource "aws_iam_policy" "boundary" {
  count = local.github

  name        = local.boundary_name
  description = "The most that a role of the stack ${var.prefix} can have"
  policy      = data.aws_iam_policy_document.boundary.json
}
