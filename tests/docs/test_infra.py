"""Holds the policy that infra/README.md has for instances against the ways in which a key of a run can be read."""

import fnmatch
import json
import re
import unittest
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "infra/README.md").read_text(encoding="utf-8")
HERE = "arn:aws:ssm:eu-west-1:123456789012:parameter"


def listed(value: Any) -> List[str]:
    return value if isinstance(value, list) else [value]


class Statements(unittest.TestCase):
    def setUp(self) -> None:
        (text,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        self.statements: List[Dict[str, Any]] = json.loads(text)["Statement"]

    def denied(self, action: str, resource: str) -> bool:
        # `*` and `?` are all that IAM's patterns have, and the same here.
        return any(
            it["Effect"] == "Deny"
            and any(fnmatch.fnmatchcase(action, pattern) for pattern in listed(it["Action"]))
            and any(fnmatch.fnmatchcase(resource, pattern) for pattern in listed(it["Resource"]))
            for it in self.statements
        )

    def test_they_deny_every_way_to_a_key_of_a_run(self) -> None:
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/ps-retrieval-authorization.html
        for action in ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParameterHistory"):
            self.assertTrue(self.denied(action, f"{HERE}/exe-sys/sops-keys/run-1"), action)
            self.assertTrue(self.denied(action, f"{HERE}/exe-sys/otlp-headers"), action)
        # Asked for the path of the request, however far above.
        for path in ("/", "/exe-sys", "/exe-sys/", "/exe-sys/sops-keys"):
            self.assertTrue(self.denied("ssm:GetParametersByPath", HERE + path), path)

    def test_they_deny_what_systems_manager_needs_to_nobody(self) -> None:
        for action in ("ssm:GetParameter", "ssm:GetParameters"):
            self.assertFalse(self.denied(action, f"{HERE}/AmazonCloudWatch-linux"))
        for action in ("ssm:GetDocument", "ssm:UpdateInstanceInformation", "ssmmessages:OpenDataChannel", "ec2messages:GetMessages"):
            self.assertFalse(self.denied(action, "*"))

    def test_they_are_for_the_keys_of_the_usual_prefix(self) -> None:
        keys = (ROOT / "crates/common/src/keys.rs").read_text(encoding="utf-8")
        self.assertIn('format!("/{ssm_prefix}/sops-keys/{run}")', keys)
        locals_of_the_stack = (ROOT / "infra/02-deploy/locals.tf").read_text(encoding="utf-8")
        self.assertIn('otlp_headers     = "/${local.ssm_prefix}/otlp-headers"', locals_of_the_stack)
        self.assertIn('SSM_PREFIX = "SSM_PREFIX", Some("exe-sys");', (ROOT / "crates/common/src/env.rs").read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
