# Terraform, its provider and its state, and whose state that is. Values of the backend come from
# `scripts/generate_backend.sh`, those of the variables from `scripts/generate_tfvars.sh`; this module holds neither an
# account nor a bucket's name.

terraform {
  # 1.10 is the first release, of Terraform and of OpenTofu, whose S3 backend locks by an object beside the state
  # (`use_lockfile`), without a table. Both also have to run from the same files: conditions over several variables
  # stand as preconditions on resources, because OpenTofu lets a variable's validation refer to that variable alone.
  required_version = ">= 1.10.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 5.100 is the oldest that the module was validated with, 6.25 the schema that it is held against. It uses nothing
      # that 6 took away or marked as going, so both major versions do.
      version = ">= 5.100.0, < 7.0.0"
    }
  }

  # Partial: bucket, key, region and `use_lockfile` come with `terraform init -backend-config=…`.
  backend "s3" {}
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ Stack = var.prefix }, var.tags)
  }
}

# Only what depends on whose account this is comes from AWS; the region is a variable, so that a plan for the wrong
# one shows before it is made.
data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# A state is of one stack. With another prefix, or in another region or account, Terraform would remove that stack with
# its tables and roles and make the other one in its place. It takes little: two stages that share the state bucket.
# What was written here first stays, so such a plan fails. `terraform destroy` is not kept from anything.
resource "terraform_data" "stack" {
  input = "${var.prefix} in ${local.here}"

  lifecycle {
    ignore_changes = [input]

    postcondition {
      condition     = self.input == "${var.prefix} in ${local.here}"
      error_message = "This state is of the stack ${self.input}: another one needs a state bucket of its own."
    }
  }
}
