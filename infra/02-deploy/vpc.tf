# The network, if a deployment has one (`vpc_id`): what the roles need so that Lambda and CodeBuild can put their
# network interfaces into its subnets. The network itself is the deployment's.

data "aws_iam_policy_document" "function_network" {
  #checkov:skip=CKV_AWS_111: Lambda checks these permissions without naming a resource, so they cannot be narrowed; the second statement keeps them from the functions' own code.
  count = local.is_in_vpc ? 1 : 0

  # Made by Lambda itself, with the function's role; the embedded AWS has no networks.
  statement {
    sid = "UnrecordedNetworkInterfaces"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    # Interfaces have no name before they are there, and Lambda asks for all of these without a resource.
    resources = ["*"]
  }

  # Lambda needs them, the code of the functions does not. Calls of the code carry the function's ARN, Lambda's own do
  # not.
  statement {
    sid    = "UnrecordedNetworkInterfacesNotByTheCode"
    effect = "Deny"
    actions = [
      "ec2:AssignPrivateIpAddresses",
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSubnets",
      "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "lambda:SourceFunctionArn"
      values = [
        local.arn.init_job, local.arn.ssm_config, local.arn.orchestrator, local.arn.watchdog_check, local.arn.worker,
      ]
    }
  }
}

resource "aws_iam_role_policy" "function_network" {
  for_each = local.is_in_vpc ? {
    init_job       = aws_iam_role.init_job.id
    ssm_config     = aws_iam_role.ssm_config.id
    orchestrator   = aws_iam_role.orchestrator.id
    watchdog_check = aws_iam_role.watchdog_check.id
    worker         = aws_iam_role.worker.id
  } : {}

  name   = "network"
  role   = each.value
  policy = data.aws_iam_policy_document.function_network[0].json
}

data "aws_iam_policy_document" "codebuild_network" {
  count = local.is_in_vpc ? 1 : 0

  # Made by CodeBuild itself, with the project's role; the embedded AWS has no networks.
  statement {
    sid = "UnrecordedNetworkInterfaces"
    actions = [
      "ec2:CreateNetworkInterface",
      "ec2:DeleteNetworkInterface",
      "ec2:DescribeDhcpOptions",
      "ec2:DescribeNetworkInterfaces",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSubnets",
      "ec2:DescribeVpcs",
    ]
    # The Describe calls take no resource, and an interface has no name before it is there.
    resources = ["*"]
  }

  # Lets CodeBuild's own account attach the interface to the build's machine.
  statement {
    sid       = "UnrecordedNetworkInterfacesForCodebuild"
    actions   = ["ec2:CreateNetworkInterfacePermission"]
    resources = ["arn:${local.partition}:ec2:${local.here}:network-interface/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:AuthorizedService"
      values   = ["codebuild.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "ec2:Subnet"
      values   = [for id in var.subnet_ids : "arn:${local.partition}:ec2:${local.here}:subnet/${id}"]
    }
  }
}

resource "aws_iam_role_policy" "codebuild_network" {
  count = local.is_in_vpc ? 1 : 0

  name   = "network"
  role   = aws_iam_role.codebuild.id
  policy = data.aws_iam_policy_document.codebuild_network[0].json
}
