# What the next steps need of the repository.

output "ecr_url" {
  description = "Address of the repository, without a tag: where images are pushed to, and what 02-deploy takes."
  value       = aws_ecr_repository.engine.repository_url
}

output "repository" {
  description = "Name of the repository."
  value       = aws_ecr_repository.engine.name
}

output "repository_arn" {
  description = "ARN of the repository."
  value       = aws_ecr_repository.engine.arn
}
