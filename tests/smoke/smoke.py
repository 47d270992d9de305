"""Looks at a deployed stack, or at the embedded AWS, as one who has just deployed it: is everything there, and does it work?

Every resource is asked for and held against what docs/CONTRACT.md says. Then an empty POST has to be refused, an unsigned
one too, and a signed job of two orders, the first on Lambda and the second in CodeBuild, has to reach `done`. Nothing is
changed but for the objects and rows of that one run, which expire by themselves.

    python tests/smoke/smoke.py --stack outputs.json      a deployed stack; the file is what `terraform output -json` prints
           [--image-tag TAG] [--only functions,project]   that all runs this image; only these looks
    python tests/smoke/smoke.py --local AWS_EXE           starts `AWS_EXE local` and ends it again
    python tests/smoke/smoke.py --endpoint-url URL        an embedded AWS that is up

Needs boto3; credentials come from wherever boto3 finds them. The exit code is 0 when all holds, 1 when something differs,
2 when it could not be tried. What the embedded AWS has no answer to is listed at the end as not checked there; the list is
itself checked, so that nothing drops out unseen.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, NoReturn, Optional, Tuple

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from support import check, conclusion, end, equal, keys_are, ready, start

FUNCTIONS = ("init_job", "ssm_config", "orchestrator", "watchdog_check", "worker")
# Key, sort key, and the index with its two; docs/CONTRACT.md, section 2.
TABLES = {
    "orders": (("pk", None), ("run_id-order_num-index", "run_id", "order_num")),
    "order_events": (("trace_id", "sk"), ("order_name-epoch-index", "order_name", "epoch")),
    "locks": (("pk", None), None),
}
# The first build of a project waits for a machine and pulls the image: a minute or two. Ten are for a bad day.
RUN_LIMIT = 600
# A function that Lambda is still moving to a new image: seconds, for large images some minutes.
UPDATE_LIMIT = 300

# What the embedded AWS has no answer to (crates/local/README.md), and what is different there on purpose.
NOT_EMBEDDED = {
    "the internal bucket's notifications",
    "the internal bucket's encryption",
    "the internal bucket's public access block",
    "the internal bucket's lifecycle",
    "the internal bucket's policy",
    "the done bucket's encryption",
    "the done bucket's public access block",
    "the done bucket's lifecycle",
    "the done bucket's policy",
    "the functions' image and command",
    "recursion of the orchestrator",
    "recursion of the worker",
    "retries and destination of the worker",
    "the project's image and user",
    "the rule for builds",
    "the rule for builds: its target",
    "the rule for commands",
    "the rule for commands: its target",
    "the workers for instances",
    "the refusal of an unsigned job",
}


def give_up(why: str) -> NoReturn:
    """It could not be tried."""
    print(f"error: {why}", file=sys.stderr)
    sys.exit(2)


class Stack(NamedTuple):
    """Where things are; the names are those of Terraform's outputs."""

    outputs: Dict[str, Any]
    endpoint: Optional[str]

    def __getitem__(self, name: str) -> Any:  # type: ignore[override]
        if name not in self.outputs:
            give_up(f"the stack's outputs have no `{name}`; was the file written by `terraform output -json`?")
        return self.outputs[name]


def deployed(path: Path) -> Stack:
    """From what `terraform output -json` printed."""
    try:
        outputs = json.loads(path.read_text(encoding="utf-8"))
        return Stack({name: output["value"] for name, output in outputs.items()}, None)
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        give_up(f"{path} cannot be read as the output of `terraform output -json`: {error}")


def embedded(endpoint: str) -> Stack:
    """The names of `Stack::embedded` in crates/common/src/stack.rs."""
    prefix, region = "exe-sys", "us-east-1"
    return Stack({
        "prefix": prefix, "region": region, "api_url": endpoint,
        "orders_table": f"{prefix}-orders", "order_events_table": f"{prefix}-order-events", "locks_table": f"{prefix}-locks",
        "internal_bucket": f"{prefix}-internal", "done_bucket": f"{prefix}-done",
        "functions": {role: f"{prefix}-{role.replace('_', '-')}" for role in FUNCTIONS},
        "watchdog_sfn": f"arn:aws:states:{region}:000000000000:stateMachine:{prefix}-watchdog",
        "codebuild_project": f"{prefix}-worker", "ssm_document": f"{prefix}-run-commands", "ssm_prefix": prefix,
    }, endpoint)


class Visitor:
    """Asks AWS, and remembers what was not checked."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.not_checked: List[str] = []
        self.arns: Dict[str, str] = {}
        self.clients: Dict[str, Any] = {}
        settings: Dict[str, Any] = {"region_name": stack["region"], "config": Config(retries={"mode": "standard"})}
        if stack.endpoint:
            # Its account takes these two, whatever the environment has.
            settings.update(endpoint_url=stack.endpoint, aws_access_key_id="test", aws_secret_access_key="test")
        self.session = boto3.Session()
        self.settings = settings

    def credentials(self) -> Any:
        if self.stack.endpoint:
            return Credentials("test", "test")
        found = self.session.get_credentials()
        if found is None:
            give_up("there are no AWS credentials; boto3 finds them in the environment, a profile or a role")
        return found.get_frozen_credentials()

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = self.session.client(service, **self.settings)
        return self.clients[service]

    def ask(self, what: str, call: Callable[[], Dict[str, Any]]) -> Optional[Dict[str, Any]]:
        """The answer. An error is a difference, unless it is the embedded AWS saying that it has no such call."""
        try:
            answer = call()
        except ClientError as error:
            if self.stack.endpoint and is_unknown_there(error):
                self.skip(what)
            else:
                check(f"{what}: {error}", False)
            return None
        except BotoCoreError as error:
            check(f"{what}: {error}", False)
            return None
        check(what, True)
        return answer

    def skip(self, what: str) -> None:
        self.not_checked.append(what)

    # ── Resources ──

    def tables(self) -> None:
        dynamodb = self.client("dynamodb")
        for role, ((key, sort), index) in TABLES.items():
            name = self.stack[f"{role}_table"]
            answer = self.ask(f"table {name}", lambda name=name: dynamodb.describe_table(TableName=name))
            if answer:
                table = answer["Table"]
                equal(f"table {name}: status", table["TableStatus"], "ACTIVE")
                equal(f"table {name}: keys", keys_of(table), (key, sort))
                found = [(one["IndexName"], *keys_of(one), one["Projection"]["ProjectionType"])
                         for one in table.get("GlobalSecondaryIndexes", [])]
                equal(f"table {name}: indexes", found, [(*index, "ALL")] if index else [])
            answer = self.ask(f"table {name}: TTL", lambda name=name: dynamodb.describe_time_to_live(TableName=name))
            if answer:
                ttl = answer["TimeToLiveDescription"]
                equal(f"table {name}: TTL", (ttl["TimeToLiveStatus"], ttl.get("AttributeName")), ("ENABLED", "ttl"))

    def buckets(self) -> None:
        s3 = self.client("s3")
        prefixes = {"internal": {"tmp/", "logs/"}, "done": {""}}
        for role, expiring in prefixes.items():
            bucket, what = self.stack[f"{role}_bucket"], f"the {role} bucket"
            self.ask(f"{what} {bucket}", lambda bucket=bucket: s3.head_bucket(Bucket=bucket))
            answer = self.ask(f"{what}'s encryption", lambda bucket=bucket: s3.get_bucket_encryption(Bucket=bucket))
            if answer:
                rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
                check(f"{what} is encrypted", bool(rules) and "ApplyServerSideEncryptionByDefault" in rules[0], rules)
            answer = self.ask(f"{what}'s public access block", lambda bucket=bucket: s3.get_public_access_block(Bucket=bucket))
            if answer:
                check(f"{what} blocks all public access", all(answer["PublicAccessBlockConfiguration"].values()), answer)
            answer = self.ask(f"{what}'s lifecycle", lambda bucket=bucket: s3.get_bucket_lifecycle_configuration(Bucket=bucket))
            if answer:
                found = {rule.get("Filter", {}).get("Prefix", "") for rule in answer["Rules"]
                         if rule["Status"] == "Enabled" and "Days" in rule.get("Expiration", {})}
                equal(f"{what}: what expires", found, expiring)
            answer = self.ask(f"{what}'s policy", lambda bucket=bucket: s3.get_bucket_policy(Bucket=bucket))
            if answer:
                statements = json.loads(answer["Policy"])["Statement"]
                plain = {"Bool": {"aws:SecureTransport": "false"}}
                check(f"{what} refuses plain http",
                      any(one["Effect"] == "Deny" and one.get("Condition") == plain for one in statements))

    def functions(self) -> None:
        """Before what points to them: their ARNs are kept for that."""
        lambda_ = self.client("lambda")
        names = self.stack["functions"]
        keys_are("functions", names, FUNCTIONS)
        images = set()
        for role, name in names.items():
            answer = self.ask(f"function {name}", lambda name=name: self.settled(lambda_, name))
            if not answer:
                continue
            self.arns[role] = answer["Configuration"]["FunctionArn"]
            equal(f"function {name}: state", answer["Configuration"]["State"], "Active")
            if self.stack.endpoint:
                continue
            equal(f"function {name}: last update", answer["Configuration"]["LastUpdateStatus"], "Successful")
            equal(f"function {name}: image", answer["Code"].get("ImageUri"), self.stack["image_uri"])
            images.add(answer["Code"].get("ResolvedImageUri"))
            command = answer["Configuration"].get("ImageConfigResponse", {}).get("ImageConfig", {}).get("Command")
            equal(f"function {name}: command", command, ["function", role])
        if self.stack.endpoint:
            self.skip("the functions' image and command")
        else:
            check("all functions run one image, by its digest", len(images) == 1 and None not in images, images)
        for role in ("orchestrator", "worker"):
            # AWS stops loops through S3 and Lambda after about 16 hops otherwise.
            answer = self.ask(f"recursion of the {role}",
                              lambda role=role: lambda_.get_function_recursion_config(FunctionName=names[role]))
            if answer:
                equal(f"recursion of the {role}", answer["RecursiveLoop"], "Allow")
        answer = self.ask("retries and destination of the worker",
                          lambda: lambda_.get_function_event_invoke_config(FunctionName=names["worker"]))
        if answer:
            equal("retries of the worker", answer.get("MaximumRetryAttempts"), 0)
            equal("on-failure destination of the worker", answer["DestinationConfig"]["OnFailure"].get("Destination"),
                  self.arns.get("watchdog_check"))

    def settled(self, lambda_: Any, name: str) -> Dict[str, Any]:
        """The function, once Lambda has moved it to what was deployed last, or time is up."""
        until = time.monotonic() + UPDATE_LIMIT
        while True:
            answer: Dict[str, Any] = lambda_.get_function(FunctionName=name)
            settings = answer["Configuration"]
            moving = settings.get("LastUpdateStatus") == "InProgress" or settings["State"] == "Pending"
            if not moving or time.monotonic() > until:
                return answer
            time.sleep(3)

    def notifications(self) -> None:
        s3 = self.client("s3")
        what = "the internal bucket's notifications"
        answer = self.ask(what, lambda: s3.get_bucket_notification_configuration(Bucket=self.stack["internal_bucket"]))
        if answer:
            found = [(one["LambdaFunctionArn"], one["Events"],
                      {rule["Name"].lower(): rule["Value"] for rule in one["Filter"]["Key"]["FilterRules"]})
                     for one in answer.get("LambdaFunctionConfigurations", [])]
            wanted = {"prefix": "tmp/callbacks/runs/", "suffix": "result.json"}
            equal(what, found, [(self.arns.get("orchestrator"), ["s3:ObjectCreated:*"], wanted)])

    def state_machine(self) -> None:
        states = self.client("stepfunctions")
        answer = self.ask("the state machine", lambda: states.describe_state_machine(stateMachineArn=self.stack["watchdog_sfn"]))
        if answer:
            equal("the state machine: status and type", (answer["status"], answer["type"]), ("ACTIVE", "STANDARD"))
            check("the state machine invokes watchdog_check", self.arns.get("watchdog_check", "?") in answer["definition"])

    def project(self) -> None:
        codebuild = self.client("codebuild")
        name = self.stack["codebuild_project"]
        answer = self.ask(f"project {name}", lambda: codebuild.batch_get_projects(names=[name]))
        if not answer or not equal(f"projects named {name}", len(answer["projects"]), 1):
            return
        project = answer["projects"][0]
        equal(f"project {name}: source", project["source"]["type"], "NO_SOURCE")
        check(f"project {name}: its buildspec runs the worker", "aws-exe worker" in project["source"].get("buildspec", ""))
        if self.stack.endpoint:
            self.skip("the project's image and user")
            return
        environment = project["environment"]
        variables = {one["name"]: one["value"] for one in environment["environmentVariables"]}
        equal(f"project {name}: image", environment["image"], self.stack["image_uri"])
        equal(f"project {name}: user of commands", variables.get("AWS_EXE_SYS_COMMAND_USER", ""), self.stack["command_user"])

    def document(self) -> None:
        ssm = self.client("ssm")
        name = self.stack["ssm_document"]
        answer = self.ask(f"document {name}", lambda: ssm.describe_document(Name=name))
        if answer:
            document = answer["Document"]
            equal(f"document {name}: status and type", (document["Status"], document["DocumentType"]), ("Active", "Command"))
            keys_are(f"document {name}: parameters", [one["Name"] for one in document["Parameters"]], ["Dispatch", "ExecutionTimeout"])

    def rules(self) -> None:
        events = self.client("events")
        for what, name, kind in (
            ("the rule for builds", "codebuild-events", "CodeBuild Build State Change"),
            ("the rule for commands", "ssm-events", "EC2 Command Invocation Status-change Notification"),
        ):
            rule = f"{self.stack['prefix']}-{name}"
            answer = self.ask(what, lambda rule=rule: events.describe_rule(Name=rule))
            if answer:
                equal(f"{what}: state", answer["State"], "ENABLED")
                equal(f"{what}: events", json.loads(answer["EventPattern"])["detail-type"], [kind])
            answer = self.ask(f"{what}: its target", lambda rule=rule: events.list_targets_by_rule(Rule=rule))
            if answer:
                equal(f"{what}: target", [one["Arn"] for one in answer["Targets"]], [self.arns.get("watchdog_check")])

    def workers(self) -> None:
        """What instances fetch. The embedded AWS puts it there with the first order on an instance."""
        what = "the workers for instances"
        if self.stack.endpoint:
            self.skip(what)
            return
        s3, bucket = self.client("s3"), self.stack["internal_bucket"]
        answer = self.ask(what, lambda: s3.get_object(Bucket=bucket, Key="worker/binaries.json"))
        for machine, sha256 in json.load(answer["Body"]).items() if answer else ():
            self.ask(f"the worker for {machine}", lambda sha256=sha256: s3.head_object(Bucket=bucket, Key=f"worker/{sha256}"))

    # ── Behaviour ──

    def post(self, body: bytes, signed: bool = True) -> Tuple[int, Any]:
        """Status and answer of POST /init."""
        url = self.stack["api_url"].rstrip("/") + "/init"
        headers = {"content-type": "application/json"}
        if signed:
            request = AWSRequest("POST", url, headers=headers, data=body)
            SigV4Auth(self.credentials(), "execute-api", self.stack["region"]).add_auth(request)
            headers = dict(request.headers.items())
        try:
            # The API's own limit is 30 s.
            with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=60) as answer:
                return answer.status, parsed(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, parsed(error.read())

    def refusals(self) -> None:
        status, answer = self.post(b"")
        equal("status of an empty POST", status, 400)
        check("the answer says that the body is empty", "empty" in str(answer), answer)
        if self.stack.endpoint:
            self.skip("the refusal of an unsigned job")
            return
        status, _ = self.post(json.dumps({"job": self.job()}).encode(), signed=False)
        equal("status of an unsigned job", status, 403)

    def job(self) -> Dict[str, Any]:
        """The second order waits for the first, and says as whom its commands run."""
        return {
            "username": "smoke-test",
            "flow_label": "smoke",
            # The orders' own times and the waiting for a machine.
            "job_timeout": RUN_LIMIT,
            "orders": [
                {"order_name": "first", "execution_target": "lambda", "timeout": 60, "cmds": ["echo this is $ORDER_ID of $RUN_ID"]},
                {"order_name": "second", "execution_target": "codebuild", "timeout": 60, "dependencies": ["first"],
                 "cmds": ["id -un", "git --version"]},
            ],
        }

    def run(self) -> None:
        run_id = f"smoke-{uuid.uuid4()}"
        body = json.dumps({"job": self.job(), "run_id": run_id}).encode()
        status, answer = self.post(body)
        if not equal("status of a signed job", status, 200):
            print(f"  its answer: {answer}")
            return
        equal("where the run's end is told", answer["done_endpt"], f"s3://{self.stack['done_bucket']}/{run_id}/done")
        print(f"  run {run_id}")
        done = self.wait_for_done(run_id)
        good = {"status": "succeeded", "summary": {"succeeded": 2, "failed": 0, "timed_out": 0}}
        if not equal("done", done, good):
            self.explain(run_id)
            return
        equal("log of the first order", self.result(run_id, "0001").get("log"), f"this is first of {run_id}\n")
        log = self.result(run_id, "0002").get("log", "")
        user = log.split("\n")[0]
        wanted = self.stack.outputs.get("command_user", "")
        check(f"commands in CodeBuild run as {wanted!r}", not wanted or user == wanted, user)
        check("commands in CodeBuild have git", "git version" in log, log)
        # Asked again, the same job makes no second run.
        equal("the same job again", self.post(body), (200, answer))
        self.completed(run_id)

    def wait_for_done(self, run_id: str) -> Any:
        s3 = self.client("s3")
        until = time.monotonic() + RUN_LIMIT
        while time.monotonic() < until:
            try:
                return json.load(s3.get_object(Bucket=self.stack["done_bucket"], Key=f"{run_id}/done")["Body"])
            except s3.exceptions.NoSuchKey:
                time.sleep(0.1 if self.stack.endpoint else 2)
            except (ClientError, BotoCoreError) as error:
                return f"{error}"
        return f"nothing within {RUN_LIMIT} s"

    def completed(self, run_id: str) -> None:
        """The run item is completed in the same pass that wrote `done`, a moment later; rows are found by the index."""
        dynamodb = self.client("dynamodb")
        key = {"pk": {"S": f"lock:{run_id}"}}
        status, rows = None, []
        # Two ticks: if that pass died, the next one completes it.
        until = time.monotonic() + 150
        while time.monotonic() < until:
            item = dynamodb.get_item(TableName=self.stack["locks_table"], Key=key, ConsistentRead=True).get("Item", {})
            status, rows = item.get("status", {}).get("S"), self.rows(run_id)
            if status == "completed" and [row["status"]["S"] for row in rows] == ["succeeded"] * 2:
                break
            time.sleep(0.1 if self.stack.endpoint else 2)
        equal("the run item", status, "completed")
        equal("the rows, by their index", [(row["order_num"]["S"], row["status"]["S"]) for row in rows],
              [("0001", "succeeded"), ("0002", "succeeded")])

    def rows(self, run_id: str) -> List[Dict[str, Any]]:
        answer = self.client("dynamodb").query(
            TableName=self.stack["orders_table"], IndexName="run_id-order_num-index",
            KeyConditionExpression="run_id = :run", ExpressionAttributeValues={":run": {"S": run_id}},
        )
        items: List[Dict[str, Any]] = answer["Items"]
        return items

    def result(self, run_id: str, number: str) -> Dict[str, Any]:
        key = f"tmp/callbacks/runs/{run_id}/{number}/result.json"
        answer = self.ask(f"result of order {number}",
                          lambda: self.client("s3").get_object(Bucket=self.stack["internal_bucket"], Key=key))
        result: Dict[str, Any] = json.load(answer["Body"]) if answer else {}
        return result

    def explain(self, run_id: str) -> None:
        """What is known of a run that did not end well."""
        for row in self.rows(run_id):
            said = {name: row[name]["S"] for name in ("order_num", "order_name", "status", "failure_reason", "execution_url")
                    if name in row}
            print(f"  {said}")


def keys_of(table: Dict[str, Any]) -> Tuple[Optional[str], Optional[str]]:
    kinds = {one["KeyType"]: one["AttributeName"] for one in table["KeySchema"]}
    return kinds.get("HASH"), kinds.get("RANGE")


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")


def is_unknown_there(error: ClientError) -> bool:
    """The answer of the embedded AWS to an operation that it does not have."""
    answer = error.response
    code, message = answer.get("Error", {}).get("Code"), answer.get("Error", {}).get("Message", "")
    return code == "NotImplemented" or message.endswith("is not part of the embedded AWS")


# What each look is called, in the order in which they are made: whoever points to functions comes after them.
LOOKS: Dict[str, Callable[[Visitor], None]] = {
    "tables": Visitor.tables,
    "buckets": Visitor.buckets,
    "functions": Visitor.functions,
    "notifications": Visitor.notifications,
    "machine": Visitor.state_machine,
    "project": Visitor.project,
    "document": Visitor.document,
    "rules": Visitor.rules,
    "workers": Visitor.workers,
    "refusals": Visitor.refusals,
    "job": Visitor.run,
}


def visit(stack: Stack, only: Optional[List[str]] = None) -> None:
    visitor = Visitor(stack)
    visitor.credentials()
    for name in only or LOOKS:
        print(name, flush=True)
        try:
            LOOKS[name](visitor)
        except (ClientError, BotoCoreError, urllib.error.URLError) as error:
            check(f"{name}: {error}", False)
    if stack.endpoint:
        keys_are("what was not checked", visitor.not_checked, NOT_EMBEDDED)
    if visitor.not_checked:
        print("\nnot checked on the embedded AWS:")
        for what in visitor.not_checked:
            print(f"  - {what}")


def names_of_looks(text: str) -> List[str]:
    names = text.split(",")
    for name in names:
        if name not in LOOKS:
            raise argparse.ArgumentTypeError(f"`{name}` is no look; there are {', '.join(LOOKS)}")
    return names


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", type=Path, metavar="OUTPUTS", help="a deployed stack: what `terraform output -json` prints")
    where.add_argument("--local", type=Path, metavar="AWS_EXE", help="start this binary's embedded AWS and end it again")
    where.add_argument("--endpoint-url", metavar="URL", help="an embedded AWS that is up")
    parser.add_argument("--image-tag", metavar="TAG", help="with --stack: the image that all has to run, by its tag")
    parser.add_argument("--only", type=names_of_looks, metavar="LOOK[,…]",
                        help=f"with --stack: only these of {', '.join(LOOKS)}; `functions` comes before what points to them")
    given = parser.parse_args()
    if not given.stack and (given.image_tag or given.only):
        parser.error("--image-tag and --only are for --stack")
    return given


def main() -> int:
    given = arguments()
    if given.stack:
        stack = deployed(given.stack)
        if given.image_tag:
            # The functions and the project are then held against what the stack says of itself.
            equal("tag of the stack's image", stack["image_uri"].rpartition(":")[2], given.image_tag)
        visit(stack, given.only)
        return conclusion()
    # Nothing of the machine's own account is asked or used.
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    if given.endpoint_url:
        visit(embedded(given.endpoint_url))
        return conclusion()
    if not os.access(given.local, os.X_OK):
        give_up(f"{given.local} is no program; `cargo build` makes target/debug/aws-exe")
    server = start(given.local.resolve())
    try:
        endpoint = ready(server)
        print(f"embedded AWS at {endpoint}")
        visit(embedded(endpoint))
    finally:
        end(server)
    return conclusion()


if __name__ == "__main__":
    sys.exit(main())
