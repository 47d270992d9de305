"""Whether the deploy role of infra/00-bootstrap may make, change and remove what 01-ecr and 02-deploy hold, and whether the
roles there are within its boundary. By the Terraform's text: what AWS really asks for, only a deployment shows.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'
"""

import re
import unittest
from pathlib import Path
from typing import Dict, List, Set, Tuple

INFRA = Path(__file__).resolve().parents[2] / "infra"
PERMISSIONS = INFRA / "00-bootstrap" / "permissions.tf"
DENIES = re.compile(r'effect += "Deny"')

# What the provider calls to create, read, change and delete a resource of each type, as far as it tells one type from
# another. A type that is not here fails: whoever adds one to a module adds what it needs here and to permissions.tf.
NEEDS: Dict[str, Tuple[str, ...]] = {
    "aws_apigatewayv2_api": (
        "apigateway:POST", "apigateway:GET", "apigateway:PATCH", "apigateway:DELETE", "iam:CreateServiceLinkedRole",
    ),
    "aws_apigatewayv2_integration": ("apigateway:POST", "apigateway:DELETE"),
    "aws_apigatewayv2_route": ("apigateway:POST", "apigateway:DELETE"),
    "aws_apigatewayv2_stage": ("apigateway:POST", "apigateway:DELETE", "logs:CreateLogDelivery"),
    "aws_cloudwatch_dashboard": (
        "cloudwatch:PutDashboard", "cloudwatch:GetDashboard", "cloudwatch:DeleteDashboards",
    ),
    "aws_cloudwatch_event_rule": ("events:PutRule", "events:DescribeRule", "events:DeleteRule", "events:TagResource"),
    "aws_cloudwatch_event_target": ("events:PutTargets", "events:ListTargetsByRule", "events:RemoveTargets"),
    "aws_cloudwatch_log_group": (
        "logs:CreateLogGroup", "logs:DescribeLogGroups", "logs:PutRetentionPolicy", "logs:DeleteLogGroup",
        "logs:AssociateKmsKey", "logs:TagResource",
    ),
    "aws_cloudwatch_log_metric_filter": (
        "logs:PutMetricFilter", "logs:DescribeMetricFilters", "logs:DeleteMetricFilter",
    ),
    "aws_cloudwatch_metric_alarm": (
        "cloudwatch:PutMetricAlarm", "cloudwatch:DescribeAlarms", "cloudwatch:DeleteAlarms", "cloudwatch:TagResource",
    ),
    "aws_codebuild_project": (
        "codebuild:CreateProject", "codebuild:BatchGetProjects", "codebuild:UpdateProject", "codebuild:DeleteProject",
        "iam:PassRole",
    ),
    "aws_dynamodb_table": (
        "dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:UpdateTable", "dynamodb:DeleteTable",
        "dynamodb:UpdateTimeToLive", "dynamodb:DescribeTimeToLive", "dynamodb:UpdateContinuousBackups",
        "dynamodb:DescribeContinuousBackups", "dynamodb:TagResource", "dynamodb:ListTagsOfResource",
    ),
    "aws_ecr_lifecycle_policy": ("ecr:PutLifecyclePolicy", "ecr:GetLifecyclePolicy", "ecr:DeleteLifecyclePolicy"),
    "aws_ecr_repository": (
        "ecr:CreateRepository", "ecr:DescribeRepositories", "ecr:DeleteRepository", "ecr:PutImageTagMutability",
        "ecr:PutImageScanningConfiguration", "ecr:ListTagsForResource", "ecr:TagResource",
    ),
    "aws_ecr_repository_policy": ("ecr:SetRepositoryPolicy", "ecr:GetRepositoryPolicy", "ecr:DeleteRepositoryPolicy"),
    "aws_iam_policy": (
        "iam:CreatePolicy", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListPolicyVersions",
        "iam:CreatePolicyVersion", "iam:DeletePolicyVersion", "iam:DeletePolicy", "iam:TagPolicy",
    ),
    "aws_iam_role": (
        "iam:CreateRole", "iam:GetRole", "iam:ListRolePolicies", "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole", "iam:UpdateAssumeRolePolicy", "iam:DeleteRole", "iam:TagRole",
    ),
    "aws_iam_role_policy": ("iam:PutRolePolicy", "iam:GetRolePolicy", "iam:DeleteRolePolicy"),
    "aws_iam_role_policy_attachment": ("iam:AttachRolePolicy", "iam:ListAttachedRolePolicies", "iam:DetachRolePolicy"),
    "aws_kms_alias": ("kms:CreateAlias", "kms:ListAliases", "kms:UpdateAlias", "kms:DeleteAlias"),
    # Not CreateKey: permissions.tf says why.
    "aws_kms_key": (
        "kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy", "kms:GetKeyRotationStatus",
        "kms:EnableKeyRotation", "kms:ListResourceTags", "kms:TagResource", "kms:ScheduleKeyDeletion",
    ),
    "aws_lambda_function": (
        "lambda:CreateFunction", "lambda:GetFunction", "lambda:ListVersionsByFunction", "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration", "lambda:DeleteFunction", "lambda:PutFunctionConcurrency",
        "lambda:DeleteFunctionConcurrency", "lambda:TagResource", "iam:PassRole", "ecr:GetRepositoryPolicy",
    ),
    "aws_lambda_function_event_invoke_config": (
        "lambda:PutFunctionEventInvokeConfig", "lambda:GetFunctionEventInvokeConfig",
        "lambda:DeleteFunctionEventInvokeConfig",
    ),
    "aws_lambda_function_recursion_config": (
        "lambda:PutFunctionRecursionConfig", "lambda:GetFunctionRecursionConfig",
    ),
    "aws_lambda_permission": ("lambda:AddPermission", "lambda:GetPolicy", "lambda:RemovePermission"),
    "aws_s3_bucket": (
        "s3:CreateBucket", "s3:ListBucket", "s3:DeleteBucket", "s3:GetBucketTagging", "s3:PutBucketTagging",
        "s3:GetBucketPolicy", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketWebsite", "s3:GetBucketVersioning",
        "s3:GetAccelerateConfiguration", "s3:GetBucketRequestPayment", "s3:GetBucketLogging",
        "s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:GetEncryptionConfiguration",
        "s3:GetBucketObjectLockConfiguration", "s3:DeleteObject", "s3:DeleteObjectVersion",
    ),
    "aws_s3_bucket_lifecycle_configuration": ("s3:PutLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
    "aws_s3_bucket_notification": ("s3:PutBucketNotification", "s3:GetBucketNotification"),
    "aws_s3_bucket_ownership_controls": ("s3:PutBucketOwnershipControls", "s3:GetBucketOwnershipControls"),
    "aws_s3_bucket_policy": ("s3:PutBucketPolicy", "s3:GetBucketPolicy", "s3:DeleteBucketPolicy"),
    "aws_s3_bucket_public_access_block": ("s3:PutBucketPublicAccessBlock", "s3:GetBucketPublicAccessBlock"),
    "aws_s3_bucket_server_side_encryption_configuration": (
        "s3:PutEncryptionConfiguration", "s3:GetEncryptionConfiguration",
    ),
    "aws_s3_bucket_versioning": ("s3:PutBucketVersioning", "s3:GetBucketVersioning"),
    "aws_sfn_state_machine": (
        "states:CreateStateMachine", "states:DescribeStateMachine", "states:UpdateStateMachine",
        "states:DeleteStateMachine", "states:ListStateMachineVersions", "states:ValidateStateMachineDefinition",
        "states:TagResource", "iam:PassRole", "logs:CreateLogDelivery",
    ),
    "aws_sqs_queue": (
        "sqs:CreateQueue", "sqs:GetQueueAttributes", "sqs:SetQueueAttributes", "sqs:DeleteQueue", "sqs:ListQueueTags",
        "sqs:TagQueue",
    ),
    "aws_sqs_queue_policy": ("sqs:SetQueueAttributes", "sqs:GetQueueAttributes"),
    "aws_ssm_document": (
        "ssm:CreateDocument", "ssm:DescribeDocument", "ssm:GetDocument", "ssm:DescribeDocumentPermission",
        "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion", "ssm:DeleteDocument", "ssm:AddTagsToResource",
    ),
    # Terraform's own, of no service.
    "terraform_data": (),
}  # fmt: skip


def text(module: str) -> str:
    return "\n".join(path.read_text() for path in sorted((INFRA / module).glob("*.tf")))


def allowed() -> Set[str]:
    """Each action in permissions.tf, but for those that are denied."""
    statements = re.split(r"^  statement \{$", PERMISSIONS.read_text(), flags=re.MULTILINE)
    granting = (statement for statement in statements if not DENIES.search(statement))
    return {action for statement in granting for action in re.findall(r'"([a-z0-9-]+:[A-Za-z]+)"', statement)}


def statements_with(action: str) -> List[str]:
    """The statements of permissions.tf that allow an action."""
    statements = re.split(r"^  statement \{$", PERMISSIONS.read_text(), flags=re.MULTILINE)
    return [it for it in statements if f'"{action}"' in it and not DENIES.search(it)]


class DeployRole(unittest.TestCase):
    def test_it_cannot_get_hold_of_a_key(self) -> None:
        # What may tag a key that is being created may tag each one, and what has the tag is its own.
        self.assertEqual(statements_with("kms:CreateKey"), [])
        for action in ("kms:TagResource", "kms:PutKeyPolicy", "kms:Decrypt", "kms:CreateGrant"):
            for statement in statements_with(action):
                with self.subTest(action=action):
                    self.assertTrue("aws:ResourceTag/Stack" in statement or "statement.value" in statement)

    def test_alarms_are_looked_up_among_all(self) -> None:
        # CloudWatch takes no narrower resource for it.
        (statement,) = statements_with("cloudwatch:DescribeAlarms")
        self.assertRegex(statement, r'resources = \["\*"\]')

    def test_it_reads_no_parameter(self) -> None:
        # Whoever may read `/` by its path reads every key of a run, whatever is denied for those.
        for action in ("ssm:GetParameter", "ssm:GetParameters", "ssm:GetParameterHistory", "ssm:GetParametersByPath"):
            with self.subTest(action=action):
                self.assertEqual(statements_with(action), [])
        teardown = (INFRA.parent / "scripts" / "teardown.sh").read_text()
        for command in re.findall(r"aws ssm ([a-z-]+)", teardown):
            action = "ssm:" + "".join(word.capitalize() for word in command.split("-"))
            with self.subTest(command=command):
                self.assertIn(action, allowed())

    def test_it_may_give_a_key_to_a_table(self) -> None:
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
        self.assertEqual(
            {
                "kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey",
                "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey", "kms:CreateGrant",
            } - allowed(),
            set(),
        )  # fmt: skip

    def test_it_may_do_what_each_type_of_resource_needs(self) -> None:
        may = allowed()
        for module in ("01-ecr", "02-deploy"):
            for kind in sorted(set(re.findall(r'^resource "(\w+)"', text(module), re.MULTILINE))):
                with self.subTest(module=module, type=kind):
                    self.assertIn(kind, NEEDS, "say here what it needs")
                    self.assertEqual([action for action in NEEDS[kind] if action not in may], [])

    def test_each_role_of_the_stack_is_within_the_boundary(self) -> None:
        # The deploy role can make a role only with it, see boundary.tf.
        for body in re.findall(r'^resource "aws_iam_role" (.*?)^\}', text("02-deploy"), re.MULTILINE | re.DOTALL):
            with self.subTest(role=body.split()[0]):
                self.assertRegex(body, r"permissions_boundary +=")

    def test_the_boundary_leaves_each_role_what_its_policies_allow(self) -> None:
        boundary = (INFRA / "00-bootstrap" / "boundary.tf").read_text()
        whole = text("02-deploy")
        documents = dict(re.findall(r'^data "aws_iam_policy_document" "(\w+)" \{(.*?)^\}', whole, re.MULTILINE | re.DOTALL))
        for body in re.findall(r'^resource "aws_iam_role_policy" (.*?)^\}', whole, re.MULTILINE | re.DOTALL):
            for name in re.findall(r"data\.aws_iam_policy_document\.(\w+)", body):
                with self.subTest(policy=name):
                    actions = set(re.findall(r'"([a-z0-9-]+:[A-Za-z]+)"', documents[name]))
                    keys = set(re.findall(r'variable += "([^"]+)"', documents[name]))
                    self.assertEqual(sorted(it for it in actions - keys if f'"{it}"' not in boundary), [])

    def test_roles_and_policies_are_named_so_that_it_may_change_them(self) -> None:
        whole = text("02-deploy")
        for body in re.findall(r'^resource "aws_iam_policy" (.*?)^\}', whole, re.MULTILINE | re.DOTALL):
            with self.subTest(policy=body.split()[0]):
                self.assertRegex(body, r'\n +name += "\$\{var\.prefix\}-[a-z-]+-\$\{var\.region\}"')

        # Roles one by one: no condition keeps who may change their trust to those within the boundary.
        named = dict(re.findall(r'^    (\w+) += "\$\{var\.prefix\}-([a-z-]+)"', whole, re.MULTILINE))
        roles = set()
        for body in re.findall(r'^resource "aws_iam_role" (.*?)^\}', whole, re.MULTILINE | re.DOTALL):
            pattern = r'\n +name += "\$\{(?:local\.name\.(\w+)\}|var\.prefix\}-([a-z-]+))-\$\{var\.region\}"'
            found = re.search(pattern, body)
            with self.subTest(role=body.split()[0]):
                assert found, body
                roles.add(found[2] or named[found[1]])
        (listed,) = re.findall(r"own_roles = \[for role in \[(.*?)\]", PERMISSIONS.read_text(), re.DOTALL)
        self.assertEqual(set(re.findall(r'"([a-z-]+)"', listed)), roles)


if __name__ == "__main__":
    unittest.main()
