"""Holds smoke.py against an AWS that is played: what only a deployed stack answers, right and wrong.

Answers have the shapes that botocore knows, as it checks them. Everything else of smoke.py is tried by running it against
`aws-exe local`. Run by `python -m unittest discover --start-directory tests/smoke`.
"""

import contextlib
import copy
import io
import json
import unittest
from typing import Any, Dict, Tuple
from unittest import mock

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

import smoke
import support

PREFIX, REGION, ACCOUNT = "exe-sys", "eu-west-1", "123456789012"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{PREFIX}:0123abc"
OUTPUTS = {
    "prefix": PREFIX, "region": REGION, "api_url": "https://example.execute-api.eu-west-1.amazonaws.com", "image_uri": IMAGE,
    "orders_table": "o", "order_events_table": "e", "locks_table": "l",
    "internal_bucket": "internal", "done_bucket": "done", "command_user": "commands",
    "functions": {role: f"{PREFIX}-{role.replace('_', '-')}" for role in smoke.FUNCTIONS},
    "watchdog_sfn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{PREFIX}-watchdog",
    "codebuild_project": f"{PREFIX}-worker", "ssm_document": f"{PREFIX}-run-commands", "ssm_prefix": PREFIX,
}


def arn(role: str) -> str:
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{PREFIX}-{role.replace('_', '-')}"


def function(role: str) -> Dict[str, Any]:
    return {
        "Configuration": {
            "FunctionArn": arn(role), "State": "Active", "LastUpdateStatus": "Successful",
            "ImageConfigResponse": {"ImageConfig": {"Command": ["function", role]}},
        },
        "Code": {"ImageUri": IMAGE, "ResolvedImageUri": f"{IMAGE}@sha256:1"},
    }


def expiring(*prefixes: str) -> Dict[str, Any]:
    return {"Rules": [{"ID": one, "Status": "Enabled", "Filter": {"Prefix": one}, "Expiration": {"Days": 1}} for one in prefixes]}


TLS_ONLY = json.dumps({"Statement": [{
    "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}]})
SHUT = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}

# By operation and, where it matters, by what is asked for.
ANSWERS: Dict[Tuple[str, str], Dict[str, Any]] = {
    ("HeadBucket", ""): {},
    ("GetBucketEncryption", ""): {"ServerSideEncryptionConfiguration": {"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}},
    ("GetPublicAccessBlock", ""): {"PublicAccessBlockConfiguration": SHUT},
    ("GetBucketLifecycleConfiguration", "internal"): expiring("tmp/", "logs/"),
    ("GetBucketLifecycleConfiguration", "done"): {"Rules": [{"Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}]},
    ("GetBucketPolicy", ""): {"Policy": TLS_ONLY},
    ("GetBucketNotificationConfiguration", ""): {"LambdaFunctionConfigurations": [{
        "LambdaFunctionArn": arn("orchestrator"), "Events": ["s3:ObjectCreated:*"],
        "Filter": {"Key": {"FilterRules": [
            {"Name": "Prefix", "Value": "tmp/callbacks/runs/"}, {"Name": "Suffix", "Value": "result.json"}]}},
    }]},
    **{("GetFunction", OUTPUTS["functions"][role]): function(role) for role in smoke.FUNCTIONS},  # type: ignore[index]
    ("GetFunctionRecursionConfig", ""): {"RecursiveLoop": "Allow"},
    ("GetFunctionEventInvokeConfig", ""): {
        "MaximumRetryAttempts": 0, "DestinationConfig": {"OnFailure": {"Destination": arn("watchdog_check")}}},
    ("DescribeStateMachine", ""): {
        "stateMachineArn": OUTPUTS["watchdog_sfn"], "name": "w", "status": "ACTIVE", "type": "STANDARD",
        "definition": arn("watchdog_check"), "roleArn": "arn:aws:iam::123456789012:role/r", "creationDate": 0},
    ("BatchGetProjects", ""): {"projects": [{
        "source": {"type": "NO_SOURCE", "buildspec": "aws-exe worker"},
        "environment": {"type": "LINUX_CONTAINER", "computeType": "BUILD_GENERAL1_SMALL", "image": IMAGE,
                        "environmentVariables": [{"name": "AWS_EXE_SYS_COMMAND_USER", "value": "commands"}]},
    }]},
    ("DescribeDocument", ""): {"Document": {
        "Status": "Active", "DocumentType": "Command", "Parameters": [{"Name": "Dispatch"}, {"Name": "ExecutionTimeout"}]}},
    ("DescribeRule", f"{PREFIX}-codebuild-events"): {
        "State": "ENABLED", "EventPattern": json.dumps({"detail-type": ["CodeBuild Build State Change"]})},
    ("DescribeRule", f"{PREFIX}-ssm-events"): {
        "State": "ENABLED", "EventPattern": json.dumps({"detail-type": ["EC2 Command Invocation Status-change Notification"]})},
    ("ListTargetsByRule", ""): {"Targets": [{"Id": "t", "Arn": arn("watchdog_check")}]},
    ("GetObject", ""): {"Body": b'{"x86_64":"aa","aarch64":"bb"}'},
    ("HeadObject", ""): {},
}


def played(answers: Dict[Tuple[str, str], Any]) -> Any:
    """Stands for every call of every client."""

    def answer(client: Any, operation: str, parameters: Dict[str, Any]) -> Any:
        asked = [value for value in parameters.values() if isinstance(value, str)]
        found = next((answers[(operation, one)] for one in [*asked, ""] if (operation, one) in answers), None)
        if found is None or isinstance(found, str):
            raise ClientError({"Error": {"Code": found or "ResourceNotFoundException", "Message": "it is not there"}}, operation)
        shape = client.meta.service_model.operation_model(operation).output_shape
        if shape is not None:
            # Dates are read from numbers, and a body is a stream: neither matters here.
            report = ParamValidator().validate({k: v for k, v in found.items() if k != "Body"}, shape)
            if report.has_errors():
                raise AssertionError(f"{operation}: {report.generate_report()}")
        return {**found, "Body": io.BytesIO(found["Body"])} if "Body" in found else found

    return mock.patch.object(BaseClient, "_make_api_call", answer)


class DeployedStack(unittest.TestCase):
    # Making a client takes longer than all its calls, so that there is one of each.
    visitor = smoke.Visitor(smoke.Stack(OUTPUTS, None))

    def differences(self, answers: Dict[Tuple[str, str], Any]) -> str:
        """What smoke.py says is wrong with the resources."""
        support.differences.clear()
        visitor = self.visitor
        visitor.arns.clear()
        with played(answers), contextlib.redirect_stdout(io.StringIO()):
            for look in (visitor.buckets, visitor.functions, visitor.notifications, visitor.state_machine, visitor.project,
                         visitor.document, visitor.rules, visitor.workers):
                look()
        self.assertEqual(visitor.not_checked, [])
        return "\n".join(support.differences)

    def test_nothing_differs_where_all_is_right(self) -> None:
        self.assertEqual(self.differences(ANSWERS), "")

    def test_whatever_is_not_there_is_named(self) -> None:
        for asked in ANSWERS:
            with self.subTest(asked):
                found = self.differences({one: answer for one, answer in ANSWERS.items() if one != asked})
                self.assertIn("it is not there", found)

    def test_a_refusal_is_not_taken_for_an_answer(self) -> None:
        self.assertIn("AccessDenied", self.differences({**ANSWERS, ("GetBucketPolicy", ""): "AccessDenied"}))
        # What the embedded AWS has not got is no excuse here.
        self.assertIn("NotImplemented", self.differences({**ANSWERS, ("GetBucketPolicy", ""): "NotImplemented"}))

    def test_what_is_set_wrong_is_found(self) -> None:
        worker = OUTPUTS["functions"]["worker"]  # type: ignore[index]
        for asked, path, value, says in (
            (("GetPublicAccessBlock", ""), ("PublicAccessBlockConfiguration", "BlockPublicPolicy"), False, "blocks all public access"),
            (("GetBucketLifecycleConfiguration", "internal"), ("Rules", 0, "Status"), "Disabled", "what expires"),
            (("GetBucketPolicy", ""), ("Policy",), '{"Statement": []}', "refuses plain http"),
            (("GetBucketNotificationConfiguration", ""), ("LambdaFunctionConfigurations", 0, "Filter", "Key", "FilterRules", 1, "Value"),
             ".json", "notifications"),
            (("GetFunction", worker), ("Code", "ImageUri"), "other", "image"),
            (("GetFunction", worker), ("Code", "ResolvedImageUri"), "other", "by its digest"),
            (("GetFunction", worker), ("Configuration", "State"), "Failed", "state"),
            (("GetFunction", worker), ("Configuration", "LastUpdateStatus"), "Failed", "last update"),
            (("GetFunction", worker), ("Configuration", "ImageConfigResponse", "ImageConfig", "Command"), ["worker"], "command"),
            (("GetFunctionRecursionConfig", ""), ("RecursiveLoop",), "Terminate", "recursion of the worker"),
            (("GetFunctionEventInvokeConfig", ""), ("MaximumRetryAttempts",), 2, "retries of the worker"),
            (("GetFunctionEventInvokeConfig", ""), ("DestinationConfig", "OnFailure", "Destination"), "x" * 20, "destination of the worker"),
            (("DescribeStateMachine", ""), ("definition",), "{}", "invokes watchdog_check"),
            (("BatchGetProjects", ""), ("projects", 0, "environment", "image"), "other", "image"),
            (("BatchGetProjects", ""), ("projects", 0, "environment", "environmentVariables"), [], "user of commands"),
            (("BatchGetProjects", ""), ("projects",), [], "projects named"),
            (("DescribeDocument", ""), ("Document", "Status"), "Creating", "status and type"),
            (("DescribeRule", f"{PREFIX}-ssm-events"), ("State",), "DISABLED", "rule for commands"),
            (("ListTargetsByRule", ""), ("Targets", 0, "Arn"), "other", "rule for builds: target"),
        ):
            with self.subTest(asked=asked, path=path):
                answers = copy.deepcopy(ANSWERS)
                place: Any = answers[asked]
                for step in path[:-1]:
                    place = place[step]
                place[path[-1]] = value
                self.assertIn(says, self.differences(answers))


if __name__ == "__main__":
    unittest.main()
