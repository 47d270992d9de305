# What the deploy role may do: create, change, read back and destroy what 01-ecr and 02-deploy hold, write their state,
# push images, upload the workers for instances, and try the stack out. Each statement is for what carries the stack's
# prefix; where AWS knows no names (API Gateway, a few lists, log deliveries) that is said beside it. One policy a kind
# of thing: a policy holds 6,144 characters.
#
# It may not change what is in this folder: the state bucket, its own permissions, and the boundary of the stack's roles
# (boundary.tf), without which it cannot create any.

locals {
  place = "${var.region}:${local.account}"

  # IAM knows no regions: the names of roles and policies end with theirs, so that each region can have a stack.
  deploy_name = "${var.prefix}-deploy-${var.region}"

  # The stack's own things, as 02-deploy names them in locals.tf.
  own = {
    functions     = "arn:${local.partition}:lambda:${local.place}:function:${var.prefix}-*"
    tables        = "arn:${local.partition}:dynamodb:${local.place}:table/${var.prefix}-*"
    queues        = "arn:${local.partition}:sqs:${local.place}:${var.prefix}-*"
    machines      = "arn:${local.partition}:states:${local.place}:stateMachine:${var.prefix}-*"
    executions    = "arn:${local.partition}:states:${local.place}:execution:${var.prefix}-*"
    projects      = "arn:${local.partition}:codebuild:${local.place}:project/${var.prefix}-*"
    documents     = "arn:${local.partition}:ssm:${local.place}:document/${var.prefix}-*"
    rules         = "arn:${local.partition}:events:${local.place}:rule/${var.prefix}-*"
    alarms        = "arn:${local.partition}:cloudwatch:${local.place}:alarm:${var.prefix}-*"
    dashboards    = "arn:${local.partition}:cloudwatch::${local.account}:dashboard/${var.prefix}-*"
    repository    = "arn:${local.partition}:ecr:${local.place}:repository/${var.prefix}"
    policies      = "arn:${local.partition}:iam::${local.account}:policy/${var.prefix}-*-${var.region}"
    internal      = "arn:${local.partition}:s3:::${var.prefix}-internal-${local.account}-${var.region}"
    done          = "arn:${local.partition}:s3:::${var.prefix}-done-${local.account}-${var.region}"
    alias         = "arn:${local.partition}:kms:${local.place}:alias/${var.prefix}"
    keys          = "arn:${local.partition}:kms:${local.place}:key/*"
    run_keys      = "arn:${local.partition}:ssm:${local.place}:parameter/${var.prefix}/*"
    apis          = "arn:${local.partition}:apigateway:${var.region}::/apis"
    lambda_logs   = "arn:${local.partition}:logs:${local.place}:log-group:/aws/lambda/${var.prefix}-*"
    build_logs    = "arn:${local.partition}:logs:${local.place}:log-group:/aws/codebuild/${var.prefix}-*"
    vended_logs   = "arn:${local.partition}:logs:${local.place}:log-group:/aws/vendedlogs/*/${var.prefix}*"
    deploy_role   = "arn:${local.partition}:iam::${local.account}:role/${local.deploy_name}"
    deploy_policy = "arn:${local.partition}:iam::${local.account}:policy/${var.prefix}-deploy-*"
  }

  # The roles of the stack, each by its name: what changes who may take on a role knows no condition on its boundary, and a
  # role that somebody else made could be called `<prefix>-…` as well.
  own_roles = [for role in [
    "codebuild", "init-job", "orchestrator", "ssm-config", "watchdog", "watchdog-check", "worker",
  ] : "arn:${local.partition}:iam::${local.account}:role/${var.prefix}-${role}-${var.region}"]

  permissions = {
    state     = data.aws_iam_policy_document.deploy_state.json
    functions = data.aws_iam_policy_document.deploy_functions.json
    data      = data.aws_iam_policy_document.deploy_data.json
    watching  = data.aws_iam_policy_document.deploy_watching.json
    roles     = data.aws_iam_policy_document.deploy_roles.json
  }
}

resource "aws_iam_policy" "deploy" {
  for_each = local.github == 1 ? local.permissions : {}

  name        = "${var.prefix}-deploy-${each.key}-${var.region}"
  description = "Part of what the role ${local.deploy_name} may do: ${each.key}"
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "deploy" {
  for_each = aws_iam_policy.deploy

  role       = aws_iam_role.deploy[0].name
  policy_arn = each.value.arn
}

# State, the image, and the key that state may be encrypted with.
data "aws_iam_policy_document" "deploy_state" {
  # That the bucket is the right one and in order is looked at before anything is put into it.
  statement {
    sid       = "LookAtTheStateBucket"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:GetBucketVersioning"]
    resources = [aws_s3_bucket.state.arn]
  }

  # Not of 00-bootstrap: a role that writes the state of its own permissions would be trusted with them at the next
  # apply. `….tflock` is Terraform's lock.
  statement {
    sid     = "StateAndArchive"
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = [
      "${aws_s3_bucket.state.arn}/01-ecr/*",
      "${aws_s3_bucket.state.arn}/02-deploy/*",
      "${aws_s3_bucket.state.arn}/archive/*",
    ]
  }

  dynamic "statement" {
    for_each = var.kms_key_arn == null ? [] : [var.kms_key_arn]

    content {
      sid       = "KeyOfTheState"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }

  statement {
    sid = "Repository"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchDeleteImage",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:CreateRepository",
      "ecr:DeleteLifecyclePolicy",
      "ecr:DeleteRepository",
      "ecr:DeleteRepositoryPolicy",
      "ecr:DescribeImages",
      "ecr:DescribeImageScanFindings",
      "ecr:DescribeRepositories",
      "ecr:GetDownloadUrlForLayer",
      "ecr:GetLifecyclePolicy",
      "ecr:GetRepositoryPolicy",
      "ecr:InitiateLayerUpload",
      "ecr:ListImages",
      "ecr:ListTagsForResource",
      "ecr:PutImage",
      "ecr:PutImageScanningConfiguration",
      "ecr:PutImageTagMutability",
      "ecr:PutLifecyclePolicy",
      "ecr:SetRepositoryPolicy",
      "ecr:TagResource",
      "ecr:UntagResource",
      "ecr:UploadLayerPart",
    ]
    resources = [local.own.repository]
  }

  # A token is for the registry of the account; the action takes no resource.
  statement {
    sid       = "LogInToTheRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }
}

# Functions, the API before them, the state machine, builds and the document for instances.
data "aws_iam_policy_document" "deploy_functions" {
  statement {
    sid = "Functions"
    actions = [
      "lambda:AddPermission",
      "lambda:CreateFunction",
      "lambda:DeleteFunction",
      "lambda:DeleteFunctionConcurrency",
      "lambda:DeleteFunctionEventInvokeConfig",
      "lambda:GetFunction",
      "lambda:GetFunctionCodeSigningConfig",
      "lambda:GetFunctionConcurrency",
      "lambda:GetFunctionConfiguration",
      "lambda:GetFunctionEventInvokeConfig",
      "lambda:GetFunctionRecursionConfig",
      "lambda:GetPolicy",
      "lambda:ListTags",
      "lambda:ListVersionsByFunction",
      "lambda:PutFunctionConcurrency",
      "lambda:PutFunctionEventInvokeConfig",
      "lambda:PutFunctionRecursionConfig",
      "lambda:RemovePermission",
      "lambda:TagResource",
      "lambda:UntagResource",
      "lambda:UpdateFunctionCode",
      "lambda:UpdateFunctionConfiguration",
      "lambda:UpdateFunctionEventInvokeConfig",
    ]
    resources = [local.own.functions]
  }

  # Functions in a network: Lambda asks on behalf of who creates them whether the network is there. Lists take no
  # resource.
  statement {
    sid       = "Networks"
    actions   = ["ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs"]
    resources = ["*"]
  }

  # API Gateway's ARNs hold ids that it draws itself, no names: this is for the HTTP APIs of the account in this region.
  statement {
    sid = "Apis"
    actions = [
      "apigateway:DELETE",
      "apigateway:GET",
      "apigateway:PATCH",
      "apigateway:POST",
      "apigateway:PUT",
      "apigateway:TagResource",
      "apigateway:UntagResource",
    ]
    resources = [
      local.own.apis,
      "${local.own.apis}/*",
      "arn:${local.partition}:apigateway:${var.region}::/tags/*",
    ]
  }

  # The first API of an account brings API Gateway's own role with it, which AWS defines
  # (https://docs.aws.amazon.com/apigateway/latest/developerguide/using-service-linked-roles.html).
  statement {
    sid       = "ApiGatewaysOwnRole"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["arn:${local.partition}:iam::${local.account}:role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway"]
  }

  statement {
    sid = "StateMachines"
    actions = [
      "states:CreateStateMachine",
      "states:DeleteStateMachine",
      "states:DescribeStateMachine",
      "states:ListExecutions",
      "states:ListStateMachineVersions",
      "states:ListTagsForResource",
      "states:TagResource",
      "states:UntagResource",
      "states:UpdateStateMachine",
    ]
    resources = [local.own.machines]
  }

  # Teardown ends what still waits: an execution would go on calling a function that is gone.
  statement {
    sid       = "Executions"
    actions   = ["states:StopExecution"]
    resources = [local.own.executions]
  }

  # The definition is checked before there is a state machine; the action takes no resource.
  statement {
    sid       = "CheckDefinitions"
    actions   = ["states:ValidateStateMachineDefinition"]
    resources = ["*"]
  }

  statement {
    sid = "Projects"
    actions = [
      "codebuild:BatchGetProjects",
      "codebuild:CreateProject",
      "codebuild:DeleteProject",
      "codebuild:ListBuildsForProject",
      "codebuild:StopBuild",
      "codebuild:UpdateProject",
    ]
    resources = [local.own.projects]
  }

  statement {
    sid = "Documents"
    actions = [
      "ssm:AddTagsToResource",
      "ssm:CreateDocument",
      "ssm:DeleteDocument",
      "ssm:DescribeDocument",
      "ssm:DescribeDocumentPermission",
      "ssm:GetDocument",
      "ssm:ListTagsForResource",
      "ssm:RemoveTagsFromResource",
      "ssm:UpdateDocument",
      "ssm:UpdateDocumentDefaultVersion",
    ]
    resources = [local.own.documents]
  }

  # The keys of runs that never ended stay behind; teardown deletes them.
  statement {
    sid       = "KeysOfRuns"
    actions   = ["ssm:DeleteParameter", "ssm:DeleteParameters"]
    resources = [local.own.run_keys]
  }

  # It finds them by their names. The list is of the account's and takes no resource; it holds no values.
  statement {
    sid       = "NamesOfParameters"
    actions   = ["ssm:DescribeParameters"]
    resources = ["*"]
  }

  # Nothing here reads a key of a run. What is denied cannot be allowed by any other policy.
  statement {
    sid       = "NoKeyOfARun"
    effect    = "Deny"
    actions   = ["ssm:GetParameter", "ssm:GetParameterHistory", "ssm:GetParameters"]
    resources = [local.own.run_keys]
  }

  # This one is asked for the path of the request, not for what is found below it: `/` would give all
  # (https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-restrict-parameter-access.html).
  statement {
    sid       = "NoParameterByItsPath"
    effect    = "Deny"
    actions   = ["ssm:GetParametersByPath"]
    resources = ["*"]
  }

  statement {
    sid = "Rules"
    actions = [
      "events:DeleteRule",
      "events:DescribeRule",
      "events:ListTagsForResource",
      "events:ListTargetsByRule",
      "events:PutRule",
      "events:PutTargets",
      "events:RemoveTargets",
      "events:TagResource",
      "events:UntagResource",
    ]
    resources = [local.own.rules]
  }

  # Trying it out: a signed submission, as the smoke tests make it.
  statement {
    sid       = "Submit"
    actions   = ["execute-api:Invoke"]
    resources = ["arn:${local.partition}:execute-api:${local.place}:*/*/POST/init", "arn:${local.partition}:execute-api:${local.place}:*/*/POST/ssm"]
  }
}

# Buckets, tables, queues and the key that they may be encrypted with.
data "aws_iam_policy_document" "deploy_data" {
  statement {
    sid = "Buckets"
    actions = [
      "s3:CreateBucket",
      "s3:DeleteBucket",
      "s3:DeleteBucketPolicy",
      "s3:GetAccelerateConfiguration",
      "s3:GetBucketAcl",
      "s3:GetBucketCORS",
      "s3:GetBucketLocation",
      "s3:GetBucketLogging",
      "s3:GetBucketNotification",
      "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketOwnershipControls",
      "s3:GetBucketPolicy",
      "s3:GetBucketPublicAccessBlock",
      "s3:GetBucketRequestPayment",
      "s3:GetBucketTagging",
      "s3:GetBucketVersioning",
      "s3:GetBucketWebsite",
      "s3:GetEncryptionConfiguration",
      "s3:GetLifecycleConfiguration",
      "s3:GetReplicationConfiguration",
      "s3:ListBucket",
      "s3:ListBucketMultipartUploads",
      "s3:ListBucketVersions",
      "s3:ListTagsForResource",
      "s3:PutBucketNotification",
      "s3:PutBucketOwnershipControls",
      "s3:PutBucketPolicy",
      "s3:PutBucketPublicAccessBlock",
      "s3:PutBucketTagging",
      "s3:PutBucketVersioning",
      "s3:PutEncryptionConfiguration",
      "s3:PutLifecycleConfiguration",
      "s3:TagResource",
      "s3:UntagResource",
    ]
    resources = [local.own.internal, local.own.done]
  }

  # Teardown empties the buckets; smoke tests read results, logs and `done` objects.
  statement {
    sid = "Objects"
    actions = [
      "s3:AbortMultipartUpload",
      "s3:DeleteObject",
      "s3:DeleteObjectVersion",
      "s3:GetObject",
    ]
    resources = ["${local.own.internal}/*", "${local.own.done}/*"]
  }

  # Of what is in the buckets it writes the workers for instances only. Results and claims are the engine's.
  statement {
    sid       = "WorkersForInstances"
    actions   = ["s3:PutObject"]
    resources = ["${local.own.internal}/worker/*"]
  }

  statement {
    sid = "Tables"
    actions = [
      "dynamodb:CreateTable",
      "dynamodb:DeleteTable",
      "dynamodb:DescribeContinuousBackups",
      "dynamodb:DescribeTable",
      "dynamodb:DescribeTimeToLive",
      "dynamodb:GetItem",
      "dynamodb:ListTagsOfResource",
      "dynamodb:Query",
      "dynamodb:Scan",
      "dynamodb:TagResource",
      "dynamodb:UntagResource",
      "dynamodb:UpdateContinuousBackups",
      "dynamodb:UpdateTable",
      "dynamodb:UpdateTimeToLive",
    ]
    resources = [local.own.tables]
  }

  statement {
    sid = "Queues"
    actions = [
      "sqs:CreateQueue",
      "sqs:DeleteQueue",
      "sqs:GetQueueAttributes",
      "sqs:GetQueueUrl",
      "sqs:ListQueueTags",
      "sqs:SetQueueAttributes",
      "sqs:TagQueue",
      "sqs:UntagQueue",
    ]
    resources = [local.own.queues]
  }

  # Keys have no names either; they are told by the tag `Stack`. 02-deploy gives it to the one that it creates, whoever
  # brings an own key puts it on. This role creates none, and so no tag gets onto a key through it: whoever may tag a
  # new key may tag each key of the account
  # (https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html), and would be its master by this
  # statement. Besides, KMS takes up to five minutes to heed a tag (…/abac.html), in which an apply fails. So the first
  # deployment with `create_kms_key` is an administrator's. CreateGrant, Encrypt, Decrypt, ReEncrypt and GenerateDataKey
  # are what DynamoDB wants of whoever gives a table a key
  # (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html).
  statement {
    sid = "Key"
    actions = [
      "kms:CreateAlias",
      "kms:CreateGrant",
      "kms:Decrypt",
      "kms:DeleteAlias",
      "kms:DescribeKey",
      "kms:EnableKeyRotation",
      "kms:Encrypt",
      "kms:GenerateDataKey",
      "kms:GenerateDataKeyWithoutPlaintext",
      "kms:GetKeyPolicy",
      "kms:GetKeyRotationStatus",
      "kms:ListResourceTags",
      "kms:PutKeyPolicy",
      "kms:ReEncryptFrom",
      "kms:ReEncryptTo",
      "kms:RetireGrant",
      "kms:ScheduleKeyDeletion",
      "kms:TagResource",
      "kms:UntagResource",
      "kms:UpdateAlias",
      "kms:UpdateKeyDescription",
    ]
    resources = [local.own.keys]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/Stack"
      values   = [var.prefix]
    }
  }

  # An alias has no tags; the statement above is for the key that it points to.
  statement {
    sid       = "Alias"
    actions   = ["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"]
    resources = [local.own.alias]
  }

  # A list, which takes no resource.
  statement {
    sid       = "Aliases"
    actions   = ["kms:ListAliases"]
    resources = ["*"]
  }
}

# Logs, alarms, dashboard.
data "aws_iam_policy_document" "deploy_watching" {
  statement {
    sid = "LogGroups"
    actions = [
      "logs:AssociateKmsKey",
      "logs:CreateLogGroup",
      "logs:DeleteLogGroup",
      "logs:DeleteMetricFilter",
      "logs:DeleteRetentionPolicy",
      "logs:DisassociateKmsKey",
      "logs:FilterLogEvents",
      "logs:ListTagsForResource",
      "logs:PutMetricFilter",
      "logs:PutRetentionPolicy",
      "logs:TagResource",
      "logs:UntagResource",
    ]
    # With and without `:*`: tags are asked for the group, events for what is in it.
    resources = flatten([for group in [local.own.lambda_logs, local.own.build_logs, local.own.vended_logs] : [group, "${group}:*"]])
  }

  # The API's and the state machine's logs are delivered by CloudWatch, and a delivery has neither name nor tag. The
  # resource policy is where CloudWatch notes that it may
  # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-and-resource-policy.html). Alarms are looked up
  # in the list of all: CloudWatch names `*` for it
  # (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/permissions-reference-cw.html).
  statement {
    #checkov:skip=CKV_AWS_356:Lists and log deliveries take no resource.
    sid = "ListsAndLogDeliveries"
    actions = [
      "cloudwatch:DescribeAlarms",
      "logs:CreateLogDelivery",
      "logs:DeleteLogDelivery",
      "logs:DescribeLogGroups",
      "logs:DescribeMetricFilters",
      "logs:DescribeResourcePolicies",
      "logs:GetLogDelivery",
      "logs:ListLogDeliveries",
      "logs:PutResourcePolicy",
      "logs:UpdateLogDelivery",
    ]
    resources = ["*"]
  }

  statement {
    sid = "Alarms"
    actions = [
      "cloudwatch:DeleteAlarms",
      "cloudwatch:ListTagsForResource",
      "cloudwatch:PutMetricAlarm",
      "cloudwatch:TagResource",
      "cloudwatch:UntagResource",
    ]
    resources = [local.own.alarms]
  }

  statement {
    sid       = "Dashboards"
    actions   = ["cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard", "cloudwatch:PutDashboard"]
    resources = [local.own.dashboards]
  }
}

# Roles and policies of the stack: only with the boundary, only passed to the services that run it, never its own.
data "aws_iam_policy_document" "deploy_roles" {
  statement {
    sid = "ChangeRolesWithinTheBoundary"
    actions = [
      "iam:AttachRolePolicy",
      "iam:CreateRole",
      "iam:DeleteRolePolicy",
      "iam:DetachRolePolicy",
      "iam:PutRolePermissionsBoundary",
      "iam:PutRolePolicy",
    ]
    resources = local.own_roles

    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = ["arn:${local.partition}:iam::${local.account}:policy/${local.boundary_name}"]
    }
  }

  # These know no condition on the boundary, nor on whom a role is made to trust
  # (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html). A
  # role of the stack whose trust is changed is still within its boundary. That nobody of another account takes it on can
  # only be said above the account, by a resource control policy.
  statement {
    sid = "ReadAndRemoveRoles"
    actions = [
      "iam:DeleteRole",
      "iam:GetRole",
      "iam:GetRolePolicy",
      "iam:ListAttachedRolePolicies",
      "iam:ListInstanceProfilesForRole",
      "iam:ListRolePolicies",
      "iam:ListRoleTags",
      "iam:TagRole",
      "iam:UntagRole",
      "iam:UpdateAssumeRolePolicy",
      "iam:UpdateRole",
      "iam:UpdateRoleDescription",
    ]
    resources = local.own_roles
  }

  statement {
    sid       = "GiveRolesToTheServicesThatRunThem"
    actions   = ["iam:PassRole"]
    resources = local.own_roles

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["codebuild.amazonaws.com", "events.amazonaws.com", "lambda.amazonaws.com", "states.amazonaws.com"]
    }
  }

  # The policies for submitters, operators and readers: they give nothing until somebody else attaches them, and within
  # the stack's roles the boundary holds. Whoever has one has what deployments make of it (docs/DEPLOY.md says so).
  statement {
    sid = "Policies"
    actions = [
      "iam:CreatePolicy",
      "iam:CreatePolicyVersion",
      "iam:DeletePolicy",
      "iam:DeletePolicyVersion",
      "iam:GetPolicy",
      "iam:GetPolicyVersion",
      "iam:ListEntitiesForPolicy",
      "iam:ListPolicyTags",
      "iam:ListPolicyVersions",
      "iam:TagPolicy",
      "iam:UntagPolicy",
    ]
    resources = [local.own.policies]
  }

  # The names of policies above match this role's own as well. What is denied cannot be allowed by any other policy.
  statement {
    sid    = "NeverItsOwn"
    effect = "Deny"
    actions = [
      "iam:AttachRolePolicy",
      "iam:CreatePolicyVersion",
      "iam:DeletePolicy",
      "iam:DeletePolicyVersion",
      "iam:DeleteRole",
      "iam:DeleteRolePermissionsBoundary",
      "iam:DeleteRolePolicy",
      "iam:DetachRolePolicy",
      "iam:PassRole",
      "iam:PutRolePermissionsBoundary",
      "iam:PutRolePolicy",
      "iam:SetDefaultPolicyVersion",
      "iam:UpdateAssumeRolePolicy",
      "iam:UpdateRole",
    ]
    resources = [local.own.deploy_role, local.own.deploy_policy]
  }
}
