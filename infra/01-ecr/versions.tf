# What this module needs. Its state lies in the state bucket, in `01-ecr/terraform.tfstate`; where the bucket is comes
# with `init -backend-config`, see scripts/generate_backend.sh.
terraform {
  # Locks in S3 itself (`use_lockfile`) came with Terraform 1.10 and OpenTofu 1.10.
  required_version = ">= 1.10.0"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # 6.25 is the version whose schema scripts/check-infra holds this against. Filters of immutable tags came with
      # 6.8.
      version = ">= 6.25.0, < 7.0.0"
    }
  }

  backend "s3" {}
}

provider "aws" {
  region = var.region

  default_tags {
    tags = merge({ Stack = var.prefix }, var.tags)
  }
}
