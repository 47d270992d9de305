# What can be chosen about the repository of images.

variable "prefix" {
  description = "First part of all names; the repository has just this name."
  type        = string
  default     = "exe-sys"

  validation {
    # As in 02-deploy, where the longest names are built from it.
    condition     = can(regex("^[a-z][a-z0-9-]{1,22}[a-z0-9]$", var.prefix)) && !strcontains(var.prefix, "--")
    error_message = "prefix: 3 to 24 of a-z, 0-9 and single hyphens, beginning with a letter, not ending with a hyphen."
  }

  validation {
    # Parameter Store refuses names that begin with aws or ssm, SSM documents those with aws, amazon or amzn.
    condition     = !can(regex("^(aws|ssm|amazon|amzn)", var.prefix))
    error_message = "prefix: must not begin with aws, ssm, amazon or amzn; AWS keeps such names for itself."
  }
}

variable "region" {
  description = "Region of the repository; the functions must be in the same one."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region: must look like eu-west-1."
  }
}

variable "images_kept" {
  description = "How many images with a tag are kept that are not deployed; the ones pushed first go first."
  type        = number
  default     = 50

  validation {
    # A pull of `latest` right after the next push must not find it gone.
    condition     = var.images_kept >= 5 && floor(var.images_kept) == var.images_kept
    error_message = "images_kept: must be a whole number, at least 5."
  }
}

variable "deployed_images_kept" {
  description = "How many images are kept that were deployed once (tag deployed-…): what runs and what can be gone back to."
  type        = number
  default     = 200

  validation {
    # Stages that share the repository count together, and a stage may stay on its image while others are deployed
    # often.
    condition     = var.deployed_images_kept >= 20 && floor(var.deployed_images_kept) == var.deployed_images_kept
    error_message = "deployed_images_kept: must be a whole number, at least 20."
  }
}

variable "untagged_days" {
  description = "Days after its push until an image without any tag goes: what `latest` pointed to before and had no other tag."
  type        = number
  default     = 14

  validation {
    condition     = var.untagged_days >= 1 && floor(var.untagged_days) == var.untagged_days
    error_message = "untagged_days: must be a whole number of days, at least 1."
  }
}

variable "kms_key_arn" {
  description = "KMS key that the images are encrypted with; null: the registry's own AES-256. With images in the repository it cannot be changed."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_arn == null ? true : can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", var.kms_key_arn))
    error_message = "kms_key_arn: must be the ARN of a key, not of an alias."
  }
}

variable "tags" {
  description = "Tags of every resource, besides `Stack`."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:")])
    error_message = "tags: keys that begin with `aws:` are AWS's own."
  }
}
