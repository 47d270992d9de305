# A state stays with its stack: a plan for another one fails before anything is removed. The provider is mocked; no
# account is needed.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = {
      account_id = "123456789012"
    }
  }

  mock_data "aws_partition" {
    defaults = {
      partition = "aws"
    }
  }

  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{}"
    }
  }
}

variables {
  region               = "eu-west-1"
  image_repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys"
  image_tag            = "0123abc"
}

run "a_stack" {
  # Nothing else of it is needed.
  plan_options {
    target = [terraform_data.stack]
  }
}

run "the_same_one_again" {
  command = plan

  variables {
    image_tag = "4567def"
  }
}

run "with_another_prefix" {
  command = plan

  variables {
    prefix = "shop"
  }

  expect_failures = [terraform_data.stack]
}

run "in_another_region" {
  command = plan

  variables {
    region = "eu-central-1"
  }

  expect_failures = [terraform_data.stack]
}
