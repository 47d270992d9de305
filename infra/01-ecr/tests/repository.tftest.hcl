# The repository, with a mocked provider: no account is needed (scripts/check-infra runs this).

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
}

variables {
  region = "eu-west-1"
}

run "tags_are_immutable_but_latest" {
  assert {
    condition     = aws_ecr_repository.engine.name == "exe-sys"
    error_message = "The repository is named by the prefix."
  }

  assert {
    condition     = aws_ecr_repository.engine.image_tag_mutability == "IMMUTABLE_WITH_EXCLUSION"
    error_message = "Tags must be immutable."
  }

  assert {
    condition     = [for filter in aws_ecr_repository.engine.image_tag_mutability_exclusion_filter : filter.filter] == ["latest"]
    error_message = "Only `latest` may move."
  }

  assert {
    condition     = aws_ecr_repository.engine.image_scanning_configuration[0].scan_on_push
    error_message = "Images must be scanned when they are pushed."
  }

  assert {
    condition     = aws_ecr_repository.engine.encryption_configuration[0].encryption_type == "AES256"
    error_message = "Without a key the registry's own encryption is used."
  }
}

run "deployed_images_come_before_all_others" {
  variables {
    deployed_images_kept = 30
    images_kept          = 7
  }

  assert {
    condition     = [for rule in jsondecode(aws_ecr_lifecycle_policy.engine.policy).rules : rule.rulePriority] == [1, 2, 3]
    error_message = "ECR sorts rules by priority; written in another order they would show as changed in each plan."
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.engine.policy).rules[0].selection == { tagStatus = "tagged", tagPrefixList = ["deployed-"], countType = "imageCountMoreThan", countNumber = 30 }
    error_message = "The first rule keeps what was deployed."
  }

  assert {
    condition     = jsondecode(aws_ecr_lifecycle_policy.engine.policy).rules[1].selection.countNumber == 7
    error_message = "The second rule is for what was never deployed."
  }
}

run "only_this_stack_pulls" {
  variables {
    prefix = "shop"
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.pull.statement :
      anytrue([for condition in statement.condition : condition.variable == "aws:SourceArn" && alltrue([for value in condition.values : strcontains(value, ":eu-west-1:123456789012:") && endswith(value, "shop-*")])])
    ])
    error_message = "Each service may pull for things of this stack alone."
  }

  assert {
    condition     = alltrue(flatten([for statement in data.aws_iam_policy_document.pull.statement : [for action in statement.actions : !strcontains(action, "*") && action != "ecr:PutImage"]]))
    error_message = "Services may pull only."
  }
}

run "a_key_of_ones_own" {
  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/0a1b"
  }

  assert {
    condition     = aws_ecr_repository.engine.encryption_configuration[0].encryption_type == "KMS" && aws_ecr_repository.engine.encryption_configuration[0].kms_key == var.kms_key_arn
    error_message = "The key that is given must be used."
  }
}

run "wrong_values_are_refused" {
  command = plan

  variables {
    prefix               = "aws-things"
    region               = "Europe"
    images_kept          = 1
    deployed_images_kept = 20.5
    untagged_days        = 0
    kms_key_arn          = "alias/mine"
    tags                 = { "aws:x" = "y" }
  }

  expect_failures = [
    var.prefix, var.region, var.images_kept, var.deployed_images_kept, var.untagged_days, var.kms_key_arn, var.tags,
  ]
}
