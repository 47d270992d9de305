"""Tests of scripts/check-infra: mistakes are planted in a small tree, and each has to be found; a tree without any has to pass.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'

The checkers are those that scripts/check-infra installs.
"""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import List, Optional

ROOT = Path(__file__).resolve().parents[2]
# Installing the checkers takes a minute or two on a fast line, once; a check some 20 s on two busy cores.
LIMIT = 900

HEAD = """\
terraform {
  required_version = ">= 1.10.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.25"
    }
  }
}

"""
# Without a mistake in any check.
GOOD = (
    HEAD
    + """\
resource "aws_ecr_repository" "it" {
  #checkov:skip=CKV_AWS_136:The registry's own encryption is enough for a test.
  name                 = "it"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
}

output "url" {
  description = "Address of the repository."
  value       = aws_ecr_repository.it.repository_url
}
"""
)
TEST = """\
mock_provider "aws" {}

run "it" {
  assert {
    condition     = aws_ecr_repository.it.name == "it"
    error_message = "The name must be it."
  }
}
"""
SCRIPT = """\
#!/usr/bin/env bash
set -euo pipefail
echo "$1"
"""


class Planted(unittest.TestCase):
    def setUp(self) -> None:
        self.tree = Path(tempfile.mkdtemp(prefix="check-infra-test-"))
        self.addCleanup(shutil.rmtree, self.tree)
        subprocess.run(["git", "init", "--quiet", str(self.tree)], check=True)
        self.write("infra/good/main.tf", GOOD)
        self.write("infra/good/tests/it.tftest.hcl", TEST)
        self.write("scripts/good", SCRIPT, 0o755)

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def module(self, name: str, old: str, new: str) -> None:
        """A module that differs from the good one in one place."""
        self.assertIn(old, GOOD)
        self.write(f"infra/{name}/main.tf", GOOD.replace(old, new))

    def check(self, *checks: str, terraform: Optional[str] = None) -> "subprocess.CompletedProcess[str]":
        environment = {key: value for key, value in os.environ.items() if key != "TERRAFORM"}
        # The checkers are installed once, wherever this is run from.
        environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
        if terraform:
            environment["TERRAFORM"] = terraform
        return subprocess.run(
            [str(ROOT / "scripts" / "check-infra"), "--root", str(self.tree), *checks],
            env=environment, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip

    def finds(self, check: str, *expected: List[str]) -> None:
        """Each of these has all its words in one line."""
        done = self.check(check)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertNotIn(": ok", lines[0])
        for words in expected:
            self.assertTrue(any(all(word in line for word in words) for line in lines[1:]), f"{words} not in\n{done.stdout}")
        self.assertFalse([line for line in lines[1:] if "infra/good" in line or "scripts/good" in line], done.stdout)

    def test_a_tree_without_mistakes_passes_with_one_line_a_check(self) -> None:
        done = self.check()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual([line.split()[0] for line in lines], ["format", "parse", "schema", "tests", "checkov", "shell"])
        self.assertTrue(all(" ok: " in line for line in lines), done.stdout)

    def test_format(self) -> None:
        self.module("unformatted", "  value       =", "  value =")
        self.finds("format", ["infra/unformatted/main.tf"])

    def test_parse(self) -> None:
        self.module("broken", 'resource "aws_ecr_repository" "it" {', 'resource "aws_ecr_repository" "it" ')
        self.module("silent", '  description = "Address of the repository."\n', "")
        self.module("unpinned", '      version = "~> 6.25"\n', "")
        self.module("unversioned", '  required_version = ">= 1.10.0"\n', "")
        self.write("infra/unused/main.tf", GOOD + '\nvariable "x" {\n  default = 1\n}\n')
        self.finds(
            "parse",
            ["infra/broken/main.tf", "does not parse"],
            ["infra/silent/main.tf", "output `url` has no description"],
            ["infra/unpinned", "no provider with a `version`"],
            ["infra/unversioned", "no `required_version`"],
            ["infra/unused/main.tf", "variable `x` has no description"],
            ["infra/unused/main.tf", "variable `x` has no type"],
            ["infra/unused/main.tf", "variable `x` is not used"],
        )

    def test_schema(self) -> None:
        self.module("argument", "  image_tag_mutability =", "  image_tag_mutabilty =")
        self.module("missing", '  name                 = "it"\n', "")
        self.module("resource", '"aws_ecr_repository" "it"', '"aws_ecr_repo" "it"')
        self.module("block", "  image_scanning_configuration {", "  image_scan_configuration {")
        self.module("in-a-block", "    scan_on_push = true", "    scan_at_push = true")
        self.module("type", 'image_tag_mutability = "IMMUTABLE"', 'image_tag_mutability = ["IMMUTABLE"]')
        self.module("attribute", "aws_ecr_repository.it.repository_url", "aws_ecr_repository.it.url")
        self.module("reference", "aws_ecr_repository.it.repository_url", "aws_ecr_repository.other.repository_url")
        self.module("function", "aws_ecr_repository.it.repository_url", "uppercase(aws_ecr_repository.it.repository_url)")
        self.write("infra/data/main.tf", HEAD + 'data "aws_caller" "me" {}\n')
        twice = "  image_scanning_configuration {\n    scan_on_push = true\n  }\n"
        self.module("twice", twice, twice + twice)
        self.finds(
            "schema",
            ["infra/argument", 'An argument named "image_tag_mutabilty" is not expected here'],
            ["infra/missing", 'The argument "name" is required'],
            ["infra/resource/main.tf", "has no resource type `aws_ecr_repo`"],
            ["infra/block", 'Blocks of type "image_scan_configuration" are not expected here'],
            ["infra/in-a-block", 'An argument named "scan_at_push" is not expected here'],
            ["infra/type", "Inappropriate value for attribute", "string required"],
            ["infra/attribute", "has no argument, nested block, or exported attribute named"],
            ["infra/reference", "has not been declared"],
            ["infra/function", 'There is no function named "uppercase"'],
            ["infra/data/main.tf", "has no data source `aws_caller`"],
            ["infra/twice", 'No more than 1 "image_scanning_configuration" blocks are allowed'],
        )

    def test_tests(self) -> None:
        self.module("named", 'name                 = "it"', 'name                 = "that"')
        self.write("infra/named/tests/it.tftest.hcl", TEST)
        self.finds("tests", ["infra/named", "The name must be it."])

    def test_checkov(self) -> None:
        self.module("unscanned", "scan_on_push = true", "scan_on_push = false")
        self.module("unjustified", ":The registry's own encryption is enough for a test.", "")
        self.module("thin", ":The registry's own encryption is enough for a test.", ":not needed")
        self.module("stale", "  #checkov:skip=CKV_AWS_136:", "  #checkov:skip=CKV_AWS_163:Scans are made by somebody else.\n  #checkov:skip=CKV_AWS_136:")
        # Settings that skip for all are not heard.
        self.write(".checkov.yaml", "skip-check: [CKV_AWS_136]\n")
        self.module("elsewhere", "  #checkov:skip=CKV_AWS_136:The registry's own encryption is enough for a test.\n", "")
        self.finds(
            "checkov",
            ["infra/unscanned/main.tf", "CKV_AWS_163"],
            ["infra/unjustified/main.tf", "CKV_AWS_136 is skipped without a reason"],
            ["infra/thin/main.tf", "CKV_AWS_136 is skipped without a reason"],
            ["infra/stale/main.tf", "CKV_AWS_163 is skipped, and would not fail there"],
            ["infra/elsewhere/main.tf", "CKV_AWS_136"],
        )

    def test_shell(self) -> None:
        self.write("scripts/unquoted", SCRIPT.replace('"$1"', "$1"), 0o755)
        self.write("examples/loose.sh", SCRIPT.replace("set -euo pipefail\n", ""), 0o755)
        self.write("scripts/plain", SCRIPT.replace("bash", "sh").replace("set -euo pipefail\n", ""), 0o755)
        self.write("scripts/hushed", SCRIPT.replace('echo "$1"', "# shellcheck disable=SC2086\necho $1"), 0o755)
        self.write("scripts/lib/nothing.sh", "x=1\n")
        self.write(".ci/run", SCRIPT.replace('"$1"', "`date`"), 0o755)
        reason = "# shellcheck disable=SC2086 # the words are arguments of their own\necho $1"
        self.write("scripts/good-with-reason", SCRIPT.replace('echo "$1"', reason), 0o755)
        self.finds(
            "shell",
            ["scripts/unquoted:3", "SC2086"],
            ["examples/loose.sh", "no `set -euo pipefail`"],
            ["scripts/plain", "no `set -eu`"],
            ["scripts/hushed:3", "SC2086 is disabled without a reason"],
            ["scripts/lib/nothing.sh", "neither a first line"],
            [".ci/run", "SC2006"],
        )

    def test_a_tree_that_cannot_be_listed_is_told(self) -> None:
        shutil.rmtree(self.tree / ".git")
        for check in ("format", "parse", "shell"):
            done = self.check(check)
            self.assertEqual(done.returncode, 1)
            self.assertIn("failed to list what is in", done.stderr)

    def test_a_program_that_is_not_there_is_told(self) -> None:
        done = self.check("format", terraform="no-such-terraform")
        self.assertEqual(done.returncode, 1)
        self.assertIn("TERRAFORM is `no-such-terraform`, and there is no such program", done.stderr)


if __name__ == "__main__":
    unittest.main()
