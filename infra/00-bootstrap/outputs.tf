# What workflows and the next steps need.

output "state_bucket" {
  description = "Bucket of all state; the repository's variable TF_STATE_BUCKET."
  value       = aws_s3_bucket.state.id
}

output "deploy_role_arn" {
  description = "Role that workflows deploy with, the repository's secret AWS_ROLE_ARN; null without github_repository."
  value       = one(aws_iam_role.deploy[*].arn)
}

output "permissions_boundary_arn" {
  description = "Permissions boundary that every role of the stack must have when that role deploys it; null without github_repository."
  value       = one(aws_iam_policy.boundary[*].arn)
}

output "github_repository" {
  description = "The repository whose workflows may deploy; scripts/deploy.sh gives it again when it is not told another."
  value       = var.github_repository
}
