# A configuration that needs no provider to be downloaded: `terraform_data` is built in.
terraform {
  required_version = ">= 1.4"

  # Where the state is comes with `init -backend-config`: each order has a fresh copy of this folder.
  backend "local" {}
}

variable "name" {
  type    = string
  default = "world"
}

resource "terraform_data" "greeting" {
  input = "hello, ${var.name}"
}

output "greeting" {
  value = terraform_data.greeting.output
}
