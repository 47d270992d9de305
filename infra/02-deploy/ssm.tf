# The document by which an order starts on an instance: the file that the embedded AWS runs too. It is not a template;
# what looks like one in it is the shell's.
#
# The worker that it fetches lies in the internal bucket under `worker/`, put there on each deployment by its hash
# (scripts/deploy.sh), not by Terraform: it must be there before `worker/binaries.json` names it, and stay while an
# older run may still ask for it.

resource "aws_ssm_document" "run_commands" {
  name            = local.name.ssm_document
  document_type   = "Command"
  document_format = "YAML"
  content         = file("${path.module}/run-commands.yaml")
}
