# The three tables, with the keys and indexes of docs/CONTRACT.md, section 4, and of crates/local/src/dynamodb.rs. They
# are on demand: a run writes in bursts, and nothing is paid between runs.

resource "aws_dynamodb_table" "orders" {
  #checkov:skip=CKV_AWS_28: Recovery to a point in time is the deployment's choice (`point_in_time_recovery`); rows are of use for a day, then they expire.
  #checkov:skip=CKV_AWS_119: A key of one's own is the deployment's choice (`create_kms_key`, `kms_key_arn`); without it DynamoDB encrypts with its own.
  name         = local.name.orders_table
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"

  attribute {
    name = "pk"
    type = "S"
  }

  attribute {
    name = "run_id"
    type = "S"
  }

  attribute {
    name = "order_num"
    type = "S"
  }

  global_secondary_index {
    name            = "run_id-order_num-index"
    hash_key        = "run_id"
    range_key       = "order_num"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = local.has_kms_key
    kms_key_arn = local.kms_key_arn
  }

  deletion_protection_enabled = var.table_deletion_protection
}

resource "aws_dynamodb_table" "order_events" {
  #checkov:skip=CKV_AWS_28: Recovery to a point in time is the deployment's choice (`point_in_time_recovery`).
  #checkov:skip=CKV_AWS_119: A key of one's own is the deployment's choice (`create_kms_key`, `kms_key_arn`); without it DynamoDB encrypts with its own.
  name         = local.name.order_events_table
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "trace_id"
  range_key    = "sk"

  attribute {
    name = "trace_id"
    type = "S"
  }

  attribute {
    name = "sk"
    type = "S"
  }

  attribute {
    name = "order_name"
    type = "S"
  }

  attribute {
    name = "epoch"
    type = "S"
  }

  global_secondary_index {
    name            = "order_name-epoch-index"
    hash_key        = "order_name"
    range_key       = "epoch"
    projection_type = "ALL"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = local.has_kms_key
    kms_key_arn = local.kms_key_arn
  }

  deletion_protection_enabled = var.table_deletion_protection
}

# One item a run, the only state that decisions are made from. It is never restored: a run of yesterday with today's
# objects gone could only do harm.
resource "aws_dynamodb_table" "locks" {
  #checkov:skip=CKV_AWS_28: Recovery to a point in time is the deployment's choice (`point_in_time_recovery`); an old run item is of no use without its objects, which live for a day.
  #checkov:skip=CKV_AWS_119: A key of one's own is the deployment's choice (`create_kms_key`, `kms_key_arn`); without it DynamoDB encrypts with its own.
  name         = local.name.locks_table
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "pk"

  attribute {
    name = "pk"
    type = "S"
  }

  ttl {
    attribute_name = "ttl"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = var.point_in_time_recovery
  }

  server_side_encryption {
    enabled     = local.has_kms_key
    kms_key_arn = local.kms_key_arn
  }

  deletion_protection_enabled = var.table_deletion_protection
}
