# The optional key. It encrypts buckets, tables, queues and log groups, and the keys of runs in Parameter Store. Without it
# those are under AWS's own key for parameters, by which everybody in the account decrypts who may read one.

resource "aws_kms_key" "stack" {
  count = var.create_kms_key ? 1 : 0

  description         = "Execution engine ${var.prefix}: buckets, tables, queues, logs, keys of runs."
  enable_key_rotation = true
  # KMS's most: whoever removes the stack by mistake has so long to find out. It is not paid in that time.
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json

  lifecycle {
    precondition {
      condition     = var.kms_key_arn == null
      error_message = "create_kms_key, kms_key_arn: one of them, not both."
    }
  }
}

resource "aws_kms_alias" "stack" {
  count = var.create_kms_key ? 1 : 0

  name          = "alias/${var.prefix}"
  target_key_id = aws_kms_key.stack[0].key_id
}

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109: A key's policy speaks of that key alone, which it can only name as `*`; without this statement nobody could manage it.
  #checkov:skip=CKV_AWS_111: A key's policy speaks of that key alone, which it can only name as `*`.
  #checkov:skip=CKV_AWS_356: A key's policy speaks of that key alone, which it can only name as `*`.

  # IAM policies of the account decide; the roles of the engine have theirs in this file.
  statement {
    sid = "IamOfThisAccount"
    actions = [
      "kms:CancelKeyDeletion",
      "kms:CreateAlias",
      "kms:CreateGrant",
      "kms:Decrypt",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:DisableKey",
      "kms:DisableKeyRotation",
      "kms:EnableKey",
      "kms:EnableKeyRotation",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListGrants",
      "kms:ListKeyPolicies",
      "kms:ListKeyRotations",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
      "kms:RetireGrant",
      "kms:RevokeGrant",
      "kms:RotateKeyOnDemand",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]
    # This key: a key's policy has no other name for it.
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }

  # CloudWatch Logs encrypts a group under the group's own name.
  statement {
    sid = "LogGroups"
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    resources = ["*"] # this key

    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "kms:EncryptionContext:aws:logs:arn"
      values   = ["arn:${local.partition}:logs:${local.here}:log-group:/aws/*${var.prefix}*"]
    }
  }

  # EventBridge puts what it could not hand over into an encrypted queue. "IfExists": what EventBridge and SQS document
  # for this has no condition at all
  # (https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html), and one on a
  # key that is not sent would lose the event. Whose events may come is said by the queue's own policy (sqs.tf).
  statement {
    sid       = "EventsThatCouldNotBeHandedOver"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["*"] # this key

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "StringEqualsIfExists"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

# --- What the roles may do with it. Only through the services that hold the data: none of them calls KMS itself. ---

data "aws_iam_policy_document" "function_kms" {
  count = local.has_kms_key ? 1 : 0

  # The embedded AWS has no KMS. S3 and SQS need a data key to write and Decrypt to read.
  statement {
    sid       = "UnrecordedKmsOfBucketsAndQueues"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com", "sqs.${var.region}.amazonaws.com"]
    }
  }

  # The embedded AWS has no KMS. These are what DynamoDB asks of whoever uses a table with a key of the account's own.
  statement {
    sid = "UnrecordedKmsOfTables"
    actions = [
      "kms:Decrypt",
      "kms:DescribeKey",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
    ]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["dynamodb.${var.region}.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "worker_kms" {
  count = local.has_kms_key ? 1 : 0

  # The embedded AWS has no KMS. Workers reach objects and no tables.
  statement {
    sid       = "UnrecordedKmsOfBuckets"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "step_functions_kms" {
  count = local.has_kms_key ? 1 : 0

  # The embedded AWS has no KMS. The state machine looks for results, and writes nothing. AWS's page of HeadObject names
  # kms:Decrypt for directory buckets and is silent on others; were it missing where it is needed, each watchdog would
  # ask watchdog_check.
  statement {
    sid       = "UnrecordedKmsOfResults"
    actions   = ["kms:Decrypt"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${var.region}.amazonaws.com"]
    }
  }
}

# Parameter Store encrypts each advanced parameter with a data key under the parameter's own name
# (https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html).
data "aws_iam_policy_document" "run_keys_put_kms" {
  count = local.has_kms_key ? 1 : 0

  # The embedded AWS has no KMS. Who puts keys of runs cannot open them with this.
  statement {
    sid       = "UnrecordedKmsOfNewKeysOfRuns"
    actions   = ["kms:GenerateDataKey"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["ssm.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = [local.arn.run_keys]
    }
  }
}

data "aws_iam_policy_document" "run_keys_read_kms" {
  count = local.has_kms_key ? 1 : 0

  # The embedded AWS has no KMS. Parameter Store decrypts as whoever asks it.
  statement {
    sid       = "UnrecordedKmsOfKeysOfRuns"
    actions   = ["kms:Decrypt"]
    resources = [local.kms_key_arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["ssm.${var.region}.amazonaws.com"]
    }

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = [local.arn.run_keys]
    }
  }
}

resource "aws_iam_role_policy" "run_keys_put_kms" {
  for_each = local.has_kms_key ? {
    init_job   = aws_iam_role.init_job.id
    ssm_config = aws_iam_role.ssm_config.id
  } : {}

  name   = "kms-run-keys"
  role   = each.value
  policy = data.aws_iam_policy_document.run_keys_put_kms[0].json
}

resource "aws_iam_role_policy" "run_keys_read_kms" {
  for_each = local.has_kms_key ? {
    orchestrator = aws_iam_role.orchestrator.id
    worker       = aws_iam_role.worker.id
    codebuild    = aws_iam_role.codebuild.id
  } : {}

  name   = "kms-run-keys"
  role   = each.value
  policy = data.aws_iam_policy_document.run_keys_read_kms[0].json
}

resource "aws_iam_role_policy" "function_kms" {
  for_each = local.has_kms_key ? {
    init_job       = aws_iam_role.init_job.id
    ssm_config     = aws_iam_role.ssm_config.id
    orchestrator   = aws_iam_role.orchestrator.id
    watchdog_check = aws_iam_role.watchdog_check.id
  } : {}

  name   = "kms"
  role   = each.value
  policy = data.aws_iam_policy_document.function_kms[0].json
}

resource "aws_iam_role_policy" "worker_kms" {
  for_each = local.has_kms_key ? {
    worker    = aws_iam_role.worker.id
    codebuild = aws_iam_role.codebuild.id
  } : {}

  name   = "kms"
  role   = each.value
  policy = data.aws_iam_policy_document.worker_kms[0].json
}

resource "aws_iam_role_policy" "step_functions_kms" {
  count = local.has_kms_key ? 1 : 0

  name   = "kms"
  role   = aws_iam_role.step_functions.id
  policy = data.aws_iam_policy_document.step_functions_kms[0].json
}
