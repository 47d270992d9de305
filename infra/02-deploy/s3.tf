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

  # `worker/` has no end: what is in use cannot be told by age. Neither has what users put here as sources.

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
