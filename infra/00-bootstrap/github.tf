# Who may deploy from GitHub: its identity provider and the role's trust. What the role may do is permissions.tf.

locals {
  # Nothing of this for those who do not deploy from GitHub.
  github = var.github_repository == "" ? 0 : 1

  issuer       = "token.actions.githubusercontent.com"
  provider_arn = "arn:${local.partition}:iam::${local.account}:oidc-provider/${local.issuer}"

  # Pull requests have a subject of their own, `repo:…:pull_request`, which is not here: they never deploy.
  subjects = concat(
    [for name in var.github_branches : "repo:${var.github_repository}:ref:refs/heads/${name}"],
    [for name in var.github_tags : "repo:${var.github_repository}:ref:refs/tags/${name}"],
    [for name in var.github_environments : "repo:${var.github_repository}:environment:${name}"],
  )
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_oidc_provider ? local.github : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
  # No thumbprints: for GitHub, AWS trusts the certificate by its own list of authorities
  # (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html).
}

data "aws_iam_policy_document" "trust" {
  #checkov:skip=CKV_AWS_358:The check sees the variable's default, the empty text, with which there is no role. The variable takes no wildcards.
  count = local.github

  statement {
    sid     = "WorkflowsOfTheRepository"
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "${local.issuer}:sub"
      values   = local.subjects
    }
  }
}

resource "aws_iam_role" "deploy" {
  count = local.github

  name                 = local.deploy_name
  description          = "Deploys the stack ${var.prefix} from workflows of ${var.github_repository}"
  assume_role_policy   = data.aws_iam_policy_document.trust[0].json
  max_session_duration = var.session_hours * 3600

  # The trust names the provider by its ARN, so that it may be one that was there before.
  depends_on = [aws_iam_openid_connect_provider.github]

  lifecycle {
    precondition {
      condition     = length(local.subjects) > 0
      error_message = "github_repository is given, but neither a branch nor a tag nor an environment that may deploy."
    }
  }
}
