# What has to be there before anything else: the bucket for all state, and the role that GitHub's workflows deploy with.
#
# The state of this module is in that very bucket, in `00-bootstrap/terraform.tfstate`. So the bucket is created bare,
# by one call of the AWS CLI (scripts/deploy.sh makes it if the bucket is not there), and this module imports it
# (state.tf). There is no moment at which the state is on somebody's disk only, and each step can be repeated, also
# from another machine. Whoever applied this module with a local state before moves it with `terraform init
# -migrate-state`.
terraform {
  # Locks in S3 itself (`use_lockfile`) came with Terraform 1.10 and OpenTofu 1.10.
  required_version = ">= 1.10.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.25 is the version whose schema scripts/check-infra holds this against.
      version = ">= 6.25.0, < 7.0.0"
    }
  }

  # Partial: bucket, key, region and `use_lockfile` come with `terraform init -backend-config=…`, see
  # scripts/generate_backend.sh.
  backend "s3" {}
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ Stack = var.prefix }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}
