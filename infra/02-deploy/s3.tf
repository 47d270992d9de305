# The two buckets. `internal` carries bundles, claims, results and logs, and the workers for instances; `done` has one
# object a run, for whoever waits for its end. Keys are those of docs/CONTRACT.md, section 5.

# --- internal ---

resource "aws_s3_bucket" "internal" {
  #checkov:skip=CKV_AWS_18: What happens is in the tables and in the functions' logs; whoever wants each call has CloudTrail's data events, which name the caller as well.
  #checkov:skip=CKV_AWS_21: Nothing here is ever restored: objects live for a day, the first result stands, and old versions would keep secrets alive that were deleted on purpose (dispatch documents).
  #checkov:skip=CKV_AWS_144: A run lives in one region; its objects are of no use in another.
  bucket        = local.name.internal_bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "internal" {
  bucket                  = aws_s3_bucket.internal.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "internal" {
  bucket = aws_s3_bucket.internal.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "internal" {
  bucket = aws_s3_bucket.internal.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.has_kms_key ? "aws:kms" : "AES256"
      kms_master_key_id = local.kms_key_arn
    }

    # One call to KMS for many objects; an order writes about five.
    bucket_key_enabled = local.has_kms_key
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "internal" {
  bucket = aws_s3_bucket.internal.id

  rule {
    id     = "tmp"
    status = "Enabled"

    filter {
      prefix = "tmp/"
    }

    expiration {
      days = var.tmp_expiration_days
    }
  }

  rule {
    id     = "logs"
    status = "Enabled"

    filter {
      prefix = "logs/"
    }

    expiration {
      days = var.log_expiration_days
    }
  }

  # What `aws-exe submit` puts here is read while the job is submitted, which takes minutes.
  rule {
    id     = "uploaded-jobs"
    status = "Enabled"

    filter {
      prefix = "jobs/uploads/"
    }

    expiration {
      days = 1
    }
  }

  rule {
    id     = "uploaded-sources"
    status = "Enabled"

    filter {
      prefix = "sources/uploads/"
    }

    expiration {
      days = 1
    }
  }

  # `worker/` has no end: what is in use cannot be told by age. Neither has what users put elsewhere as sources.

  rule {
    id     = "incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      # The engine uploads in one piece; parts are left by clients whose upload of a source broke off.
      days_after_initiation = 1
    }
  }

  lifecycle {
    precondition {
      # S3 deletes an object at the first midnight UTC after its days are over, so never before them. What a run wrote
      # first must outlive its deadline: workers then have up to 300 s to stop and 30 s to report, the tick looks for
      # 600 s, and the run's key is kept for two hours (crates/common/src/intake/upload.rs), which is the margin.
      condition     = var.max_job_timeout + 2 * 3600 <= var.tmp_expiration_days * 86400
      error_message = "max_job_timeout: must be two hours below tmp_expiration_days, or a run loses its objects."
    }
  }
}

resource "aws_s3_bucket_policy" "internal" {
  bucket = aws_s3_bucket.internal.id
  policy = data.aws_iam_policy_document.internal_bucket.json

  # S3 refuses a policy while it still thinks that the bucket may be public.
  depends_on = [aws_s3_bucket_public_access_block.internal]
}

data "aws_iam_policy_document" "internal_bucket" {
  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.arn.internal_bucket, "${local.arn.internal_bucket}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # While an order runs on instances, its dispatch document holds the order's secrets in clear, for them alone: they
  # read it by a URL that the orchestrator signed, which counts as the orchestrator. Without this everybody in the
  # account who may read objects could read it. It does not keep out who is shown that URL: ssm:ListCommands shows it
  # (docs/OPERATIONS.md, section 1).
  statement {
    sid       = "RefuseDispatchDocumentsToOthers"
    effect    = "Deny"
    actions   = ["s3:GetObject"]
    resources = ["${local.arn.internal_bucket}/tmp/exec/*/dispatch.json"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.orchestrator.arn]
    }
  }

  # Claims, requests to stop and what instances report are written once, by everybody: only with `If-None-Match: *`,
  # which S3 heeds. A signed URL of the engine has that header among those that are signed. It cannot be sent with the
  # parts of an upload in parts, so there are none of these objects.
  # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html)
  statement {
    sid     = "RefuseToReplaceClaimsAndReportsOfInstances"
    effect  = "Deny"
    actions = ["s3:PutObject"]
    resources = [
      "${local.arn.internal_bucket}/tmp/claims/*",
      "${local.arn.internal_bucket}/tmp/callbacks/runs/*/instances/*/result.json",
    ]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["true"]
    }
  }

  # The same for results of orders, for the engine's roles. `*` stands for slashes as well, so the key of a result
  # cannot be told from `_cancel/<order>/result.json`, which people put and put again, but never the engine.
  statement {
    sid       = "RefuseToReplaceResults"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = [for order in local.orders : "${local.arn.internal_bucket}/tmp/callbacks/runs/*/${order}/result.json"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["true"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:PrincipalArn"
      values = [
        aws_iam_role.init_job.arn,
        aws_iam_role.ssm_config.arn,
        aws_iam_role.orchestrator.arn,
        aws_iam_role.watchdog_check.arn,
        aws_iam_role.worker.arn,
        aws_iam_role.codebuild.arn,
      ]
    }
  }

  # What is gone could be written anew. Nobody deletes these but the lifecycle, which no policy of a bucket holds up
  # (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html), and whoever removes the stack: that
  # begins with this policy (scripts/teardown.sh, and Terraform because of the order of these resources).
  statement {
    sid     = "RefuseToDeleteClaimsAndResults"
    effect  = "Deny"
    actions = ["s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = [
      "${local.arn.internal_bucket}/tmp/claims/*",
      "${local.arn.internal_bucket}/tmp/callbacks/*",
    ]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }
}

locals {
  # Numbers of orders as patterns, which have no ranges: four digits and not all of them 0, because `0000` is the
  # wake-up of a run, which is written again and again.
  digits = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
  orders = concat(
    [for digit in local.digits : "${digit}???"],
    [for digit in local.digits : "0${digit}??"],
    [for digit in local.digits : "00${digit}?"],
    [for digit in local.digits : "000${digit}"],
  )
}

resource "aws_s3_bucket_notification" "internal" {
  bucket = aws_s3_bucket.internal.id

  lambda_function {
    id                  = "results"
    lambda_function_arn = aws_lambda_function.function["orchestrator"].arn
    events              = ["s3:ObjectCreated:*"]
    filter_prefix       = "tmp/callbacks/runs/"
    filter_suffix       = "result.json"
  }

  # S3 asks Lambda at once whether it may invoke the function.
  depends_on = [aws_lambda_permission.results]
}

# --- done ---

resource "aws_s3_bucket" "done" {
  #checkov:skip=CKV_AWS_18: One small object a run, and nothing of it is secret; whoever wants each call has CloudTrail's data events.
  #checkov:skip=CKV_AWS_21: Each object is written once, under a condition, and lives for a day.
  #checkov:skip=CKV_AWS_144: Whoever waits for the end of a run asks in the run's region.
  bucket        = local.name.done_bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_public_access_block" "done" {
  bucket                  = aws_s3_bucket.done.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "done" {
  bucket = aws_s3_bucket.done.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "done" {
  bucket = aws_s3_bucket.done.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm     = local.has_kms_key ? "aws:kms" : "AES256"
      kms_master_key_id = local.kms_key_arn
    }

    bucket_key_enabled = local.has_kms_key
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "done" {
  bucket = aws_s3_bucket.done.id

  rule {
    id     = "done"
    status = "Enabled"

    filter {}

    expiration {
      days = var.done_expiration_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "done" {
  bucket = aws_s3_bucket.done.id
  policy = data.aws_iam_policy_document.done_bucket.json

  depends_on = [aws_s3_bucket_public_access_block.done]
}

data "aws_iam_policy_document" "done_bucket" {
  statement {
    sid       = "RefusePlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [local.arn.done_bucket, "${local.arn.done_bucket}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

# Whoever wants to hear of ends, and not to look for them, makes a rule of EventBridge on this bucket; S3 takes only one
# set of notifications a bucket, which is this one.
resource "aws_s3_bucket_notification" "done" {
  bucket      = aws_s3_bucket.done.id
  eventbridge = true
}
