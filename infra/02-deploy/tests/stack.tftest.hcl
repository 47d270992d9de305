# What a deployment is made of, as far as Terraform itself knows it: names, limits, what is there and what is not with
# each of the larger choices. No account is needed; the provider is mocked, so nothing is said here about what AWS
# takes.

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

  # The real provider wants JSON where a policy stands, if the tests are run with it.
  mock_data "aws_iam_policy_document" {
    defaults = {
      json = "{}"
    }
  }
}

variables {
  region               = "eu-west-1"
  image_repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/exe-sys"
  image_tag            = "0123abc"
}

run "names" {
  command = plan

  assert {
    condition     = aws_s3_bucket.internal.bucket == "exe-sys-internal-123456789012-eu-west-1"
    error_message = "The internal bucket has another name."
  }

  assert {
    condition     = aws_s3_bucket.done.bucket == "exe-sys-done-123456789012-eu-west-1"
    error_message = "The done bucket has another name."
  }

  assert {
    condition = alltrue([
      output.orders_table == "exe-sys-orders",
      output.order_events_table == "exe-sys-order-events",
      output.locks_table == "exe-sys-locks",
    ])
    error_message = "The tables have other names."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.function["init_job"].function_name == "exe-sys-init-job",
      tolist(aws_lambda_function.function["init_job"].image_config)[0].command == tolist(["function", "init_job"]),
    ])
    error_message = "init_job has another name or command."
  }

  assert {
    condition     = local.arn.image_repository == "arn:aws:ecr:eu-west-1:123456789012:repository/team/exe-sys"
    error_message = "The repository's ARN is not that of its URL."
  }
}

run "longest_prefix_and_region" {
  command = plan

  variables {
    prefix = "abcdefghijklmnopqrstuvwx"
    region = "us-isof-south-1"
  }

  assert {
    condition     = length(local.name.internal_bucket) <= 63
    error_message = "Bucket names have at most 63 characters."
  }

  assert {
    condition = alltrue([
      for role in [
        aws_iam_role.init_job, aws_iam_role.ssm_config, aws_iam_role.orchestrator, aws_iam_role.watchdog_check,
        aws_iam_role.worker, aws_iam_role.codebuild, aws_iam_role.step_functions,
      ] : length(role.name) <= 64
    ])
    error_message = "Role names have at most 64 characters."
  }
}

# IAM takes managed policies of up to 6,144 characters and inline ones of up to 10,240 a role, blanks not counted. What
# a policy has of another one is not seen here, so the reader's is counted with the operator's.
run "longest_policies" {
  command = plan

  variables {
    prefix      = "abcdefghijklmnopqrstuvwx"
    region      = "us-isof-south-1"
    kms_key_arn = "arn:aws:kms:us-isof-south-1:123456789012:key/00000000-0000-0000-0000-000000000000"

    otel_exporter_otlp_endpoint = "https://collector.example.com"
    otel_headers_in_parameter   = true
  }

  assert {
    condition = alltrue([for statements, most in {
      (jsonencode(concat(
        data.aws_iam_policy_document.people_kms[0].statement,
        data.aws_iam_policy_document.reader.statement,
        data.aws_iam_policy_document.operator.statement,
      ))) = 6144
      (jsonencode(concat(
        data.aws_iam_policy_document.function_kms[0].statement,
        data.aws_iam_policy_document.run_keys_read_kms[0].statement,
        data.aws_iam_policy_document.otlp_headers[0].statement,
        data.aws_iam_policy_document.orchestrator.statement,
      ))) = 10240
      } : length(jsonencode([for it in jsondecode(statements) : merge(
        { Sid = it.sid, Effect = "Allow", Action = it.actions, Resource = it.resources },
        length(coalesce(it.condition, [])) == 0 ? {} : { Condition = {
          for condition in it.condition : condition.test => { (condition.variable) = condition.values }
        } },
    )])) <= most])
    error_message = "A policy is too long."
  }
}

# A command's parameters hold the signed URL of a dispatch document, and that the order's secrets.
run "people_see_no_secrets" {
  command = plan

  assert {
    condition = alltrue(flatten([for statements in [
      data.aws_iam_policy_document.reader.statement,
      data.aws_iam_policy_document.operator.statement,
      ] : [for statement in statements : [
        !contains(statement.actions, "ssm:ListCommands"),
        length([for resource in statement.resources : resource
          if contains(statement.actions, "s3:GetObject") && (strcontains(resource, "/tmp/exec/") || endswith(resource, "internal-123456789012-eu-west-1/*"))
        ]) == 0,
    ]]]))
    error_message = "A ready-made policy shows secrets."
  }
}

# What the bucket's policy denies, by IAM's patterns. `*` in an expectation is everybody, `engine` its roles, "" nobody.
run "what_stands_stays" {
  command = plan

  assert {
    condition = alltrue([for key, expected in {
      "tmp/claims/r/0001.json"                                   = "*"
      "tmp/claims/r/0001.stop.json"                              = "*"
      "tmp/claims/r/0001/i-1.json"                               = "*"
      "tmp/claims/r/0001/i-1.stop.json"                          = "*"
      "tmp/callbacks/runs/r/0001/instances/i-1/result.json"      = "*"
      "tmp/callbacks/runs/0000/9999/instances/mi-0f/result.json" = "*"
      "tmp/callbacks/runs/r/0001/result.json"                    = "engine"
      "tmp/callbacks/runs/r/0010/result.json"                    = "engine"
      "tmp/callbacks/runs/r/0200/result.json"                    = "engine"
      "tmp/callbacks/runs/0000/3000/result.json"                 = "engine"
      "tmp/callbacks/runs/instances/9999/result.json"            = "engine"
      "tmp/callbacks/runs/r/0000/result.json"                    = ""
      "tmp/callbacks/runs/0001/0000/result.json"                 = ""
      "tmp/callbacks/runs/instances/0000/result.json"            = ""
      "tmp/callbacks/runs/r/_cancel/0000/result.json"            = ""
      "tmp/exec/r/0001/exec.zip"                                 = ""
      "tmp/exec/r/0001/dispatch.json"                            = ""
      "tmp/exec/r/plan.json"                                     = ""
      "logs/r/0001.log"                                          = ""
      "sources/tmp/claims/app.zip"                               = ""
      } : expected == join("", [for statement in data.aws_iam_policy_document.internal_bucket.statement :
        contains([for condition in statement.condition : condition.variable], "aws:PrincipalArn") ? "engine" : "*"
        if statement.effect == "Deny" && contains(statement.actions, "s3:PutObject") && contains([
          for condition in statement.condition : "${condition.test} ${condition.variable} ${join(",", condition.values)}"
          if condition.variable == "s3:if-none-match"
        ], "Null s3:if-none-match true") &&
        anytrue([for resource in statement.resources : can(regex(
          "^${replace(replace(replace(resource, ".", "[.]"), "*", ".*"), "?", ".")}$",
          "${local.arn.internal_bucket}/${key}",
        ))])
    ])])
    error_message = "Something that stands can be replaced, or something else cannot."
  }

  assert {
    condition = alltrue([for key in ["tmp/claims/r/0001.json", "tmp/callbacks/runs/r/0001/result.json"] :
      anytrue([for statement in data.aws_iam_policy_document.internal_bucket.statement :
        statement.effect == "Deny" && length(coalesce(statement.condition, [])) == 0 && alltrue([
          for action in ["s3:DeleteObject", "s3:DeleteObjectVersion"] : contains(statement.actions, action)
        ]) &&
        anytrue([for resource in statement.resources : startswith(
          "${local.arn.internal_bucket}/${key}", trimsuffix(resource, "*"),
        )])
    ])])
    error_message = "Something that stands can be deleted."
  }
}

# The credentials of a worker hold an order's secrets, so they may do the less.
run "what_a_worker_may_not" {
  command = plan

  assert {
    condition = alltrue([for key, denied in {
      "tmp/claims/r/0001.json"                              = false
      "tmp/claims/r/0001.stop.json"                         = true
      "tmp/claims/r/0001/i-1.json"                          = true
      "tmp/callbacks/runs/r/0001/result.json"               = false
      "tmp/callbacks/runs/instances/0001/result.json"       = false
      "tmp/callbacks/runs/0000/0001/result.json"            = false
      "tmp/callbacks/runs/r/0000/result.json"               = true
      "tmp/callbacks/runs/r/_cancel/0000/result.json"       = true
      "tmp/callbacks/runs/r/_cancel/0001/result.json"       = true
      "tmp/callbacks/runs/r/0001/instances/i-1/result.json" = true
      } : denied == anytrue(flatten([for statement in data.aws_iam_policy_document.runs_orders.statement : [
        for resource in statement.resources : can(regex(
          "^${replace(replace(replace(resource, ".", "[.]"), "*", ".*"), "?", ".")}$",
          "${local.arn.internal_bucket}/${key}",
        ))
      ] if statement.effect == "Deny" && contains(statement.actions, "s3:PutObject")]))
    ])
    error_message = "A worker may write what is no worker's, or not what is its own."
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.worker_lambda.statement : alltrue([
      for condition in [one(statement.condition)] :
      "${condition.test} ${condition.variable} ${one(condition.values)}" == "Null lambda:SourceFunctionArn true"
    ]) if contains(statement.actions, "lambda:InvokeFunction")])
    error_message = "Whoever has the worker's credentials can invoke watchdog_check."
  }
}

run "limits" {
  command = plan

  assert {
    condition     = aws_lambda_function.function["orchestrator"].timeout == 50
    error_message = "The orchestrator must end before its lease of 60 s."
  }

  assert {
    condition = alltrue([
      aws_lambda_function.function["worker"].reserved_concurrent_executions == 500,
      aws_lambda_function.function["orchestrator"].reserved_concurrent_executions == -1,
    ])
    error_message = "The worker, and only the worker, has a reservation."
  }

  assert {
    condition     = aws_lambda_function_event_invoke_config.worker.maximum_retry_attempts == 0
    error_message = "An invocation of the worker must not be repeated."
  }

  assert {
    condition = alltrue([
      aws_lambda_function_recursion_config.orchestrator.recursive_loop == "Allow",
      aws_lambda_function_recursion_config.worker.recursive_loop == "Allow",
    ])
    error_message = "AWS would stop a chain of more than 16 orders."
  }

  assert {
    condition = alltrue([
      for route in [aws_apigatewayv2_route.init, aws_apigatewayv2_route.ssm] : route.authorization_type == "AWS_IAM"
    ])
    error_message = "Both routes need IAM."
  }
}

run "nothing_more_than_asked_for" {
  command = plan

  assert {
    condition = alltrue([
      length(aws_kms_key.stack) == 0,
      length(aws_iam_role_policy.function_kms) == 0,
      length(aws_iam_role_policy.worker_kms) == 0,
      length(aws_iam_role_policy.step_functions_kms) == 0,
      length(aws_iam_role_policy.run_keys_put_kms) == 0,
      length(aws_iam_role_policy.run_keys_read_kms) == 0,
      local.intake_environment.AWS_EXE_SYS_KMS_KEY_ARN == "",
    ])
    error_message = "There is a key that nobody asked for."
  }

  assert {
    condition = alltrue([
      length(aws_iam_role_policy.function_network) == 0,
      length(aws_iam_role_policy.codebuild_network) == 0,
    ])
    error_message = "There are permissions on a network, and there is none."
  }

  assert {
    condition = alltrue([
      length(aws_iam_role_policy.init_job_jobs) == 0,
      length(aws_iam_role_policy.ssm_config_jobs) == 0,
      length(aws_iam_role_policy.job_sops_keys) == 0,
    ])
    error_message = "Jobs may name nothing by default."
  }
}

run "what_jobs_may_name" {
  command = plan

  variables {
    ssm_parameter_prefixes = ["/shop/", "/shared/token"]
    secret_prefixes        = ["shop/", "token"]
    sops_key_prefixes      = ["/keys/"]
    source_buckets         = ["sources", "theirs=210987654321"]
    ssm_document_names     = ["own-document"]
  }

  assert {
    condition = local.job_parameters == [
      "arn:aws:ssm:eu-west-1:123456789012:parameter/shop/*",
      "arn:aws:ssm:eu-west-1:123456789012:parameter/shared/token",
    ]
    error_message = "A path that ends with / stands for all below it, another for itself."
  }

  assert {
    condition = (
      local.job_source_objects == ["arn:aws:s3:::sources/*", "arn:aws:s3:::theirs/*"] &&
      local.intake_environment["AWS_EXE_SYS_SOURCE_BUCKETS"] == "sources,theirs=210987654321"
    )
    error_message = "A bucket's owner is no part of its ARN, and the functions are told it."
  }

  assert {
    condition = local.job_secrets == [
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/*",
      "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-??????",
    ]
    error_message = "A secret's ARN ends with six characters of Secrets Manager's."
  }

  assert {
    condition = alltrue([
      length(aws_iam_role_policy.init_job_jobs) == 1,
      length(aws_iam_role_policy.orchestrator_documents) == 1,
      toset(keys(aws_iam_role_policy.job_sops_keys)) == toset(["orchestrator", "worker", "codebuild"]),
    ])
    error_message = "What jobs may name is not in the policies."
  }
}

run "key_of_its_own" {
  command = plan

  variables {
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  }

  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.function : group.kms_key_id == var.kms_key_arn])
    error_message = "The functions' logs are not encrypted with the key."
  }

  assert {
    condition     = aws_sqs_queue.orchestrator_dead_letters.kms_master_key_id == var.kms_key_arn
    error_message = "The queues are not encrypted with the key."
  }

  assert {
    condition     = length(aws_iam_role_policy.function_kms) == 4 && length(aws_iam_role_policy.worker_kms) == 2
    error_message = "Roles may not use the key."
  }

  assert {
    condition = alltrue([for statement in one(data.aws_iam_policy_document.step_functions_kms).statement :
      toset(statement.actions) == toset(["kms:Decrypt"]) && toset(flatten(statement.condition[*].values)) == toset([
        "s3.eu-west-1.amazonaws.com",
    ])]) && length(aws_iam_role_policy.step_functions_kms) == 1
    error_message = "The state machine may not use the key for results, or may for something else."
  }

  assert {
    condition = alltrue([for function in ["init_job", "ssm_config"] :
      aws_lambda_function.function[function].environment[0].variables.AWS_EXE_SYS_KMS_KEY_ARN == var.kms_key_arn
    ])
    error_message = "Keys of runs are not encrypted with the key."
  }

  assert {
    condition = alltrue([for action, statement in {
      "kms:GenerateDataKey" = one(data.aws_iam_policy_document.run_keys_put_kms[0].statement)
      "kms:Decrypt"         = one(data.aws_iam_policy_document.run_keys_read_kms[0].statement)
      } : toset(statement.actions) == toset([action]) && toset(flatten(statement.condition[*].values)) == toset([
        "ssm.eu-west-1.amazonaws.com", "arn:aws:ssm:eu-west-1:123456789012:parameter/exe-sys/sops-keys/*",
    ])])
    error_message = "The key may be used for other parameters than keys of runs, or not for these."
  }

  assert {
    condition = alltrue([
      toset(keys(aws_iam_role_policy.run_keys_put_kms)) == toset(["init_job", "ssm_config"]),
      toset(keys(aws_iam_role_policy.run_keys_read_kms)) == toset(["orchestrator", "worker", "codebuild"]),
    ])
    error_message = "Somebody who uses keys of runs may not use the KMS key for them, or somebody else may."
  }
}

run "without_traces" {
  command = plan

  # Without a collector there is nothing to send the headers to.
  variables {
    otel_headers_in_parameter = true
  }

  assert {
    condition = alltrue([for variables in values(local.environment) : alltrue([
      for name in keys(variables) : !startswith(name, "OTEL_") && !strcontains(name, "OTLP")
    ])])
    error_message = "A function sends traces, and nobody named a collector."
  }

  assert {
    condition     = length(aws_iam_role_policy.otlp_headers) == 0 && output.otlp_headers_parameter == ""
    error_message = "A role reads headers that nobody needs."
  }
}

run "traces" {
  command = plan

  variables {
    prefix                      = "team"
    otel_exporter_otlp_endpoint = "https://collector.example.com/mine"
    otel_headers_in_parameter   = true
  }

  assert {
    condition = alltrue([for role in ["init_job", "ssm_config", "orchestrator", "worker", "codebuild"] : alltrue([
      local.environment[role].OTEL_EXPORTER_OTLP_ENDPOINT == "https://collector.example.com/mine",
      local.environment[role].OTEL_SERVICE_NAME == "team",
      local.environment[role].AWS_EXE_SYS_OTLP_HEADERS_PARAMETER == "/team/otlp-headers",
      contains(keys(aws_iam_role_policy.otlp_headers), role),
    ])])
    error_message = "One that sends traces is not told where to, or may not read the headers."
  }

  assert {
    condition     = toset(keys(local.environment.watchdog_check)) == toset(["AWS_EXE_SYS_INTERNAL_BUCKET", "AWS_EXE_SYS_SSM_PREFIX", "RUST_LOG"])
    error_message = "watchdog_check sends no traces."
  }

  assert {
    condition = alltrue([for statement in data.aws_iam_policy_document.otlp_headers[0].statement : alltrue([
      toset(statement.actions) == toset(["ssm:GetParameter"]),
      toset(statement.resources) == toset(["arn:aws:ssm:eu-west-1:123456789012:parameter/team/otlp-headers"]),
    ])])
    error_message = "More than the one parameter may be read."
  }
}

run "network" {
  command = plan

  variables {
    vpc_id             = "vpc-0123456789abcdef0"
    subnet_ids         = ["subnet-0123456789abcdef0"]
    security_group_ids = ["sg-0123456789abcdef0"]
  }

  assert {
    condition     = alltrue([for function in aws_lambda_function.function : length(function.vpc_config) == 1])
    error_message = "A function is not in the network."
  }

  assert {
    condition = alltrue([
      length(aws_iam_role_policy.function_network) == 5,
      length(aws_iam_role_policy.codebuild_network) == 1,
    ])
    error_message = "A role may not use the network."
  }
}

run "bounded_roles" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::123456789012:policy/exe-sys-deploy-boundary-eu-west-1"
  }

  assert {
    condition = alltrue([
      for role in [
        aws_iam_role.init_job, aws_iam_role.ssm_config, aws_iam_role.orchestrator, aws_iam_role.watchdog_check,
        aws_iam_role.worker, aws_iam_role.codebuild, aws_iam_role.step_functions,
      ] : role.permissions_boundary == var.permissions_boundary_arn
    ])
    error_message = "A role has no boundary."
  }
}
