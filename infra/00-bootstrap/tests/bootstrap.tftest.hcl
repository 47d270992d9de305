# The state bucket and the deploy role, with a mocked provider: no account is needed (scripts/check-infra runs this).

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  # A mocked provider imports nothing; this stands for the bucket that is there.
  override_resource {
    target = aws_s3_bucket.state
    values = { arn = "arn:aws:s3:::exe-sys-tfstate-123456789012-eu-west-1", id = "exe-sys-tfstate-123456789012-eu-west-1" }
  }
}

variables {
  region       = "eu-west-1"
  state_bucket = "exe-sys-tfstate-123456789012-eu-west-1"
}

run "the_state_is_safe" {
  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "State must be versioned."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "State must be encrypted."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls,
      aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls,
      aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "State must never be public."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.state.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "Nobody else may own objects in the bucket."
  }

  assert {
    condition     = alltrue([for statement in data.aws_iam_policy_document.state.statement : statement.effect == "Deny"])
    error_message = "The bucket's policy only denies."
  }

  assert {
    condition     = contains([for statement in data.aws_iam_policy_document.state.statement : one(statement.condition).variable], "aws:SecureTransport")
    error_message = "State must go over TLS only."
  }
}

run "without_a_repository_nobody_deploys_from_github" {
  assert {
    condition     = length(aws_iam_role.deploy) == 0 && length(aws_iam_openid_connect_provider.github) == 0 && length(aws_iam_policy.deploy) == 0 && output.deploy_role_arn == null
    error_message = "There must be no role and no identity provider."
  }
}

run "trust_is_by_branch_tag_and_environment" {
  variables {
    github_repository = "acme/engine"
  }

  assert {
    condition = toset(one([for condition in data.aws_iam_policy_document.trust[0].statement[0].condition : condition.values if condition.variable == "token.actions.githubusercontent.com:sub"])) == toset([
      "repo:acme/engine:ref:refs/heads/main",
      "repo:acme/engine:ref:refs/tags/v*",
      "repo:acme/engine:environment:dev",
      "repo:acme/engine:environment:staging",
      "repo:acme/engine:environment:prod",
    ])
    error_message = "Only these subjects may take the role."
  }

  assert {
    condition     = one([for condition in data.aws_iam_policy_document.trust[0].statement[0].condition : condition.values if condition.variable == "token.actions.githubusercontent.com:aud"]) == tolist(["sts.amazonaws.com"])
    error_message = "Only tokens for AWS may take the role."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 1
    error_message = "The identity provider must be created."
  }
}

run "immutable_subjects_and_a_provider_that_is_there" {
  variables {
    github_repository    = "acme@12/engine@345"
    github_tags          = []
    github_environments  = []
    create_oidc_provider = false
  }

  assert {
    condition     = local.subjects == ["repo:acme@12/engine@345:ref:refs/heads/main"]
    error_message = "The subject must be as GitHub writes it."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && one(one(data.aws_iam_policy_document.trust[0].statement).principals).identifiers == toset(["arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"])
    error_message = "The provider that is there must be trusted and no other created."
  }
}

# The longest prefix and region: IAM takes managed policies of up to 6,144 characters, blanks not counted, and ten a
# role.
run "policies_fit_and_are_narrow" {
  variables {
    prefix            = "abcdefghijklmnopqrstuvwx"
    region            = "ap-southeast-2"
    github_repository = "acme/engine"
  }

  assert {
    condition = alltrue([for name, statements in {
      state     = data.aws_iam_policy_document.deploy_state.statement
      functions = data.aws_iam_policy_document.deploy_functions.statement
      data      = data.aws_iam_policy_document.deploy_data.statement
      watching  = data.aws_iam_policy_document.deploy_watching.statement
      roles     = data.aws_iam_policy_document.deploy_roles.statement
      boundary  = data.aws_iam_policy_document.boundary.statement
      } : length(jsonencode([for it in statements : {
        Sid       = it.sid, Effect = "Allow", Action = it.actions, Resource = it.resources,
        Condition = [for condition in it.condition : { (condition.test) = { (condition.variable) = condition.values } }]
    }])) < 6000])
    error_message = "A policy is too long."
  }

  assert {
    condition = alltrue(flatten([for statements in [
      data.aws_iam_policy_document.deploy_state.statement,
      data.aws_iam_policy_document.deploy_functions.statement,
      data.aws_iam_policy_document.deploy_data.statement,
      data.aws_iam_policy_document.deploy_watching.statement,
      data.aws_iam_policy_document.deploy_roles.statement,
    ] : [for statement in statements : [for action in statement.actions : !strcontains(action, "*")]]]))
    error_message = "Each action of the deploy role is named in full."
  }

  assert {
    condition = toset(flatten([for statements in [
      data.aws_iam_policy_document.deploy_state.statement,
      data.aws_iam_policy_document.deploy_functions.statement,
      data.aws_iam_policy_document.deploy_data.statement,
      data.aws_iam_policy_document.deploy_watching.statement,
      data.aws_iam_policy_document.deploy_roles.statement,
      ] : [for statement in statements : statement.sid if contains(statement.resources, "*")]])) == toset([
      "LogInToTheRegistry", "Networks", "CheckDefinitions", "Aliases", "ListsAndLogDeliveries", "NamesOfParameters",
      "NoParameterByItsPath",
    ])
    error_message = "Only what takes no resource may be for all of them."
  }
}

run "the_deploy_role_cannot_free_itself" {
  variables {
    github_repository = "acme/engine"
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.deploy_roles.statement :
      anytrue([for condition in statement.condition : condition.variable == "iam:PermissionsBoundary" && condition.values == tolist(["arn:aws:iam::123456789012:policy/exe-sys-deploy-boundary-eu-west-1"])])
    if statement.effect != "Deny" && length(setintersection(statement.actions, ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"])) > 0])
    error_message = "Roles may be made and changed within the boundary only."
  }

  assert {
    condition = anytrue([for statement in data.aws_iam_policy_document.deploy_roles.statement :
      statement.effect == "Deny" && toset(statement.resources) == toset(["arn:aws:iam::123456789012:role/exe-sys-deploy-eu-west-1", "arn:aws:iam::123456789012:policy/exe-sys-deploy-*"])
    ])
    error_message = "Its own role and policies must be out of its reach."
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.deploy_roles.statement :
      alltrue([for resource in statement.resources : !strcontains(resource, "*")])
    if statement.effect != "Deny" && anytrue([for resource in statement.resources : strcontains(resource, ":role/")])])
    error_message = "Only roles of the stack may be changed, passed on, or trust somebody else: by name."
  }

  assert {
    condition     = !anytrue(flatten([for statement in data.aws_iam_policy_document.deploy_state.statement : [for resource in statement.resources : strcontains(resource, "00-bootstrap") || endswith(resource, "eu-west-1/*")]]))
    error_message = "It must not write the state of this module."
  }
}

run "the_deploy_role_reads_no_key_of_a_run" {
  variables {
    github_repository = "acme/engine"
  }

  assert {
    condition = !anytrue(flatten([for statements in [
      data.aws_iam_policy_document.deploy_state.statement,
      data.aws_iam_policy_document.deploy_functions.statement,
      data.aws_iam_policy_document.deploy_data.statement,
      data.aws_iam_policy_document.deploy_watching.statement,
      data.aws_iam_policy_document.deploy_roles.statement,
      ] : [for statement in statements : [for action in statement.actions :
        statement.effect != "Deny" && startswith(action, "ssm:GetParameter")
    ]]]))
    error_message = "It may read a parameter."
  }

  # By a path above it a key is read too, whatever is denied for its name.
  assert {
    condition = alltrue([for action, path in {
      "ssm:GetParameter"        = "exe-sys/sops-keys/r"
      "ssm:GetParameters"       = "exe-sys/sops-keys/r"
      "ssm:GetParameterHistory" = "exe-sys/sops-keys/r"
      "ssm:GetParametersByPath" = ""
      } : anytrue([for statement in data.aws_iam_policy_document.deploy_functions.statement :
        statement.effect == "Deny" && contains(statement.actions, action) && anytrue([
          for resource in statement.resources :
          startswith("arn:aws:ssm:eu-west-1:123456789012:parameter/${path}", trimsuffix(resource, "*"))
        ])
    ])])
    error_message = "Another policy could let it read keys of runs."
  }
}

run "the_boundary_reaches_marked_instances_and_no_key_directly" {
  variables {
    github_repository  = "acme/engine"
    ssm_document_names = ["patch"]
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.boundary.statement :
      !contains(statement.resources, "*") && (
        alltrue([for resource in statement.resources : strcontains(resource, ":document/")]) ||
        [for condition in statement.condition : "${condition.variable} ${join(",", condition.values)}"] == ["ssm:resourceTag/exe-sys allowed"]
      )
    if contains(statement.actions, "ssm:SendCommand")])
    error_message = "Commands are for instances that have the tag."
  }

  assert {
    condition = toset(flatten([for statement in data.aws_iam_policy_document.boundary.statement : statement.resources if statement.sid == "CommandsByDocuments"])) == toset([
      "arn:aws:ssm:eu-west-1:123456789012:document/exe-sys-*", "arn:aws:ssm:eu-west-1:123456789012:document/patch",
    ])
    error_message = "Commands are by documents of the stack and by those that are named."
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.boundary.statement :
      anytrue([for condition in statement.condition : condition.variable == "kms:ViaService"])
    if anytrue([for action in statement.actions : startswith(action, "kms:")])])
    error_message = "Keys are used through the services that hold the data."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    prefix              = "exe--sys"
    region              = "eu"
    state_bucket        = "My.Bucket"
    state_versions_kept = 101
    state_version_days  = 0
    kms_key_arn         = "alias/mine"
    github_repository   = "acme/*"
    github_branches     = ["*"]
    github_tags         = ["**"]
    github_environments = ["*"]
    session_hours       = 13
    tags                = { "AWS:x" = "y" }
    source_buckets      = ["s3://x"]

    ssm_parameter_prefixes = ["/"]
    secret_prefixes        = ["*"]
    ssm_instance_tag       = { key = "aws:x", values = [] }
    ssm_document_names     = ["*"]
  }

  expect_failures = [
    var.prefix, var.region, var.state_bucket, var.state_versions_kept, var.state_version_days,
    var.kms_key_arn, var.github_repository, var.github_branches, var.github_tags, var.github_environments,
    var.session_hours, var.tags, var.source_buckets, var.ssm_parameter_prefixes, var.secret_prefixes,
    var.ssm_instance_tag, var.ssm_document_names,
  ]
}
