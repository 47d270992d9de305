# The repository of the image that all functions and the CodeBuild project run from: who may pull from it and which
# images go when. What is in the image is docker/Dockerfile's part; who may push is 00-bootstrap's.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

resource "aws_ecr_repository" "engine" {
  #checkov:skip=CKV_AWS_51:All tags are immutable but `latest`, by IMMUTABLE_WITH_EXCLUSION, which the check does not know.
  name                 = var.prefix
  image_tag_mutability = "IMMUTABLE_WITH_EXCLUSION"

  # What was deployed or released under a tag stays that; only `latest` moves.
  image_tag_mutability_exclusion_filter {
    filter      = "latest"
    filter_type = "WILDCARD"
  }

  image_scanning_configuration {
    scan_on_push = true
  }

  # Images hold no secrets, and a key of one's own costs money each month.
  encryption_configuration {
    encryption_type = var.kms_key_arn == null ? "AES256" : "KMS"
    kms_key         = var.kms_key_arn
  }

  lifecycle {
    # A change of the prefix or the key replaces the repository, and ECR refuses that only after Terraform took its
    # policies away. teardown.sh deletes it by ECR itself, with its images.
    prevent_destroy = true
  }
}

# A function fetches its image again after weeks without a call, and a rollback needs the one before: an image that was
# deployed must not go because a hundred others were pushed since. So whatever is deployed is given a tag
# `deployed-<stage>-<tag>` first (scripts/mark_deployed.sh), and the first rule is for those. An image that meets the
# tag requirements of one rule is never expired by a later one
# (https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html).
resource "aws_ecr_lifecycle_policy" "engine" {
  repository = aws_ecr_repository.engine.name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Deployed images: what runs, and what can be gone back to"
        selection = {
          tagStatus     = "tagged"
          tagPrefixList = ["deployed-"]
          countType     = "imageCountMoreThan"
          countNumber   = var.deployed_images_kept
        }
        action = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Images that were never deployed"
        selection = {
          tagStatus      = "tagged"
          tagPatternList = ["*"]
          countType      = "imageCountMoreThan"
          countNumber    = var.images_kept
        }
        action = { type = "expire" }
      },
      {
        rulePriority = 3
        description  = "Images that lost their tag"
        selection = {
          tagStatus   = "untagged"
          countType   = "sinceImagePushed"
          countUnit   = "days"
          countNumber = var.untagged_days
        }
        action = { type = "expire" }
      },
    ]
  })
}

# Nobody else: CodeBuild pulls as the project's role, which says so itself (02-deploy), and within one account needs no
# permission here (https://docs.aws.amazon.com/codebuild/latest/userguide/sample-ecr.html).
data "aws_iam_policy_document" "pull" {
  # Lambda fetches an image by itself, when a function is created and whenever it needs it again. It says which
  # function for; the ARN holds the account, so that no other account's function gets at the image through the service.
  statement {
    sid     = "LambdaPullsForTheFunctionsOfThisStack"
    actions = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values = [
        "arn:${data.aws_partition.this.partition}:lambda:${var.region}:${data.aws_caller_identity.this.account_id}:function:${var.prefix}-*",
      ]
    }
  }
}

resource "aws_ecr_repository_policy" "pull" {
  repository = aws_ecr_repository.engine.name
  policy     = data.aws_iam_policy_document.pull.json
}
