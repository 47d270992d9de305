# What a deployment may not choose: each run gives one bad value and expects to be refused at that variable or resource.
# No account is needed; the provider is mocked, so nothing is said here about what AWS takes.

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
  image_repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys"
  image_tag            = "0123abc"
}

run "prefix_that_aws_keeps_for_itself" {
  command = plan
  variables {
    prefix = "aws-exe"
  }
  expect_failures = [var.prefix]
}

run "prefix_that_parameter_store_refuses" {
  command = plan
  variables {
    prefix = "ssm-exe"
  }
  expect_failures = [var.prefix]
}

run "prefix_too_long_for_bucket_names" {
  command = plan
  variables {
    prefix = "abcdefghijklmnopqrstuvwxy"
  }
  expect_failures = [var.prefix]
}

run "image_without_a_tag_of_its_own" {
  command = plan
  variables {
    image_tag = "latest"
  }
  expect_failures = [var.image_tag]
}

run "repository_with_a_tag" {
  command = plan
  variables {
    image_repository_url = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/exe-sys:v1"
  }
  expect_failures = [var.image_repository_url]
}

run "jobs_that_outlive_their_objects" {
  command = plan
  variables {
    max_job_timeout = 79201
  }
  expect_failures = [aws_s3_bucket_lifecycle_configuration.internal]
}

run "longer_jobs_with_longer_lived_objects" {
  command = plan
  variables {
    max_job_timeout     = 165600
    tmp_expiration_days = 2
  }
}

run "jobs_longer_than_a_week" {
  command = plan
  variables {
    max_job_timeout     = 604801
    tmp_expiration_days = 9
  }
  expect_failures = [var.max_job_timeout]
}

run "no_orders_at_all" {
  command = plan
  variables {
    max_parallel = { lambda = 0 }
  }
  expect_failures = [var.max_parallel]
}

run "worker_that_never_runs" {
  command = plan
  variables {
    worker_reserved_concurrency = 0
  }
  expect_failures = [var.worker_reserved_concurrency]
}

run "all_parameters" {
  command = plan
  variables {
    ssm_parameter_prefixes = ["/"]
  }
  expect_failures = [var.ssm_parameter_prefixes]
}

run "parameters_by_wildcard" {
  command = plan
  variables {
    ssm_parameter_prefixes = ["/teams/*"]
  }
  expect_failures = [var.ssm_parameter_prefixes]
}

run "secrets_by_wildcard" {
  command = plan
  variables {
    secret_prefixes = ["shop*"]
  }
  expect_failures = [var.secret_prefixes]
}

run "source_bucket_as_url" {
  command = plan
  variables {
    source_buckets = ["s3://sources"]
  }
  expect_failures = [var.source_buckets]
}

run "instances_by_a_tag_of_aws" {
  command = plan
  variables {
    ssm_instance_tag = { key = "aws:cloudformation:stack-name", values = ["x"] }
  }
  expect_failures = [var.ssm_instance_tag]
}

run "commands_as_root" {
  command = plan
  variables {
    codebuild_command_user = "root"
  }
  expect_failures = [var.codebuild_command_user]
}

run "half_a_network" {
  command = plan
  variables {
    vpc_id     = "vpc-0123456789abcdef0"
    subnet_ids = ["subnet-0123456789abcdef0"]
  }
  expect_failures = [aws_lambda_function.function]
}

run "two_keys" {
  command = plan
  variables {
    create_kms_key = true
    kms_key_arn    = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-0000-0000-000000000000"
  }
  expect_failures = [aws_kms_key.stack]
}

run "retention_that_cloudwatch_does_not_know" {
  command = plan
  variables {
    log_retention_days = 42
  }
  expect_failures = [var.log_retention_days]
}

run "collector_that_is_no_url" {
  command = plan
  variables {
    otel_exporter_otlp_endpoint = "collector:4318"
  }
  expect_failures = [var.otel_exporter_otlp_endpoint]
}

run "collector_with_a_password_in_clear" {
  command = plan
  variables {
    otel_exporter_otlp_endpoint = "https://user:password@collector.example.com"
  }
  expect_failures = [var.otel_exporter_otlp_endpoint]
}
