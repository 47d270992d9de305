"""Holds docs/OPERATIONS.md against what is there: the functions' log lines, the AWS CLI's commands, the embedded AWS.

- Every warning and error that a function logs is explained, and every line that is explained is logged.
- With botocore installed, every command's operation and flags are the service's, and every query finds something in an
  answer of the service's shape; also those of the other documents.
- With AWS_EXE (a binary of the engine) and an `aws` on the PATH, the commands that the embedded AWS answers are run, and
  so is the first job of docs/DEPLOY.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

try:
    import botocore.session
    import jmespath
except ImportError:
    botocore = None

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/OPERATIONS.md").read_text(encoding="utf-8")
DEPLOY = (ROOT / "docs/DEPLOY.md").read_text(encoding="utf-8")
# What runs as a function or as a worker. What the command line alone says is read by whoever typed it.
CRATES = ("common", "init_job", "ssm_config", "orchestrator", "watchdog_check", "worker", "cli")
LOGGED = re.compile(r"tracing::(warn|error)!\((?P<arguments>(?:[^()\"]|\([^()]*\)|\"(?:[^\"\\]|\\.)*\")*)\)", re.S)
# Services of which the embedded AWS has nothing, or not what the page uses.
NOT_EMBEDDED = ("cloudwatch", "logs", "sqs", "ce", "service-quotas", "lambda get-account-settings")
# What queries look for by its value.
USUAL = {
    # https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
    "QuotaName": "Concurrently running builds for Linux/Small environment",
    "RoleName": "exe-sys-worker-eu-west-1", "PolicyName": "exe-sys-reader-eu-west-1",
    "name": "first-0000-0123abcd", "Comment": "first:0001",
}  # fmt: skip
# Flags that are the CLI's own.
CLI_FLAGS = {"query", "output", "max-items", "cli-input-json"}
# Far more than each command takes; only what hangs meets it.
LIMIT = 300


def logged() -> List[str]:
    """The text of each warning and error in the sources: the last text among its arguments."""
    found = []
    for crate in CRATES:
        for path in sorted((ROOT / "crates" / crate / "src").rglob("*.rs")):
            for call in LOGGED.finditer(path.read_text(encoding="utf-8")):
                found.append(re.findall(r'"((?:[^"\\]|\\.)*)"', call.group("arguments"))[-1])
    return found


def blocks(page: str = PAGE) -> List[Tuple[str, str]]:
    """A page's shell commands, each block with the heading above it."""
    found: List[Tuple[str, str]] = []
    inside: Optional[List[str]] = None
    heading = ""
    for line in map(str.strip, page.splitlines()):
        if inside is None and line.startswith("#"):
            heading = line.lstrip("# ")
        elif inside is None and line == "```sh":
            inside = []
        elif inside is not None and line == "```":
            found.append((heading, "\n".join(inside)))
            inside = None
        elif inside is not None:
            inside.append(line)
    return found


def commands(block: str) -> List[str]:
    """Each call of the AWS CLI in a block, without the line ends in it."""
    joined = block.replace("\\\n", " ")
    # A text over several lines belongs to its command.
    joined = re.sub(r"'[^']*'", lambda text: text.group().replace("\n", " "), joined)
    return [
        words
        for line in joined.splitlines()
        for words in re.findall(r"\baws ([a-z0-9-]+ [a-z0-9-]+.*?)(?:\)$|$)", line)
    ]


def every_command() -> List[str]:
    """Those of all documents."""
    pages = [path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.md")) if "target" not in path.parts]
    return [words for page in pages for _, block in blocks(page) for words in commands(block)]


def sample(shape: Any, name: str = "", depth: int = 0) -> Any:
    """An answer of this shape with one of each; a text is its own name, unless those who make it have a usual one."""
    if depth > 8:
        return None
    if shape.type_name == "structure":
        return {key: sample(member, key, depth + 1) for key, member in shape.members.items()}
    if shape.type_name == "list":
        return [sample(shape.member, name, depth + 1)]
    if shape.type_name == "map":
        return {}
    if shape.type_name == "string":
        return USUAL.get(name, name)
    return {"boolean": True}.get(shape.type_name, 1)


class Page(unittest.TestCase):
    def test_every_warning_and_error_is_explained(self) -> None:
        texts = logged()
        self.assertGreater(len(texts), 25, "the sources are read")
        for text in texts:
            self.assertTrue(f"`{text}`" in PAGE or f"`… {text.split(' ends ')[-1]}`" in PAGE, f"not explained: {text}")

    def test_every_line_that_is_explained_is_logged(self) -> None:
        texts = logged()
        explained = re.findall(r"(?:WARN|ERROR) ((?:`[^`]+`(?:, )?)+)", PAGE)
        self.assertGreater(len(explained), 25)
        for names in explained:
            for name in re.findall(r"`([^`]+)`", names):
                ending = name.lstrip("… ")
                self.assertTrue(any(text == name or text.endswith(ending) for text in texts), f"not logged: {name}")

    def test_every_command_is_one_of_the_cli(self) -> None:
        if botocore is None:
            self.skipTest("botocore is not installed")
        session = botocore.session.get_session()
        every = every_command()
        self.assertGreater(len(every), 40)
        for words in every:
            service, operation = words.split()[:2]
            if service == "s3":
                continue
            model = session.get_service_model("s3" if service == "s3api" else service)
            names = {re.sub("[^a-z0-9]", "", name.lower()): name for name in model.operation_names}
            self.assertIn(operation.replace("-", ""), names, words)
            operation_model = model.operation_model(names[operation.replace("-", "")])
            shape = operation_model.input_shape
            members = {name.lower() for name in shape.members} if shape else set()
            # A query is in quotes; flags are not.
            bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'", "", words)
            for flag in re.findall(r"(?<!\S)--([a-z0-9-]+)", bare):
                self.assertTrue(flag in CLI_FLAGS or flag.replace("-", "") in members, f"--{flag}: {words}")
            query = re.search(r"--query (?:'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|(\S+))", words)
            if query and service != "dynamodb":
                # Items of a table have no shape; those commands are run below.
                text = (query[1] or query[2] or query[3]).replace("$RUN", "first")
                with self.subTest(query=text):
                    found = jmespath.search(text, sample(operation_model.output_shape))
                    self.assertTrue(found or found == 0, found)
                    self.assertNotIn("null", json.dumps(found), "each field is one of the answer's")


JOB: Dict[str, Any] = {
    "username": "operations",
    "orders": [
        {"order_name": "one", "execution_target": "lambda", "timeout": 60, "cmds": ["sleep 4", "echo one"]},
        {"order_name": "two", "execution_target": "codebuild", "timeout": 300, "cmds": ["echo two"]},
        {
            "order_name": "three", "execution_target": "ssm", "timeout": 60, "cmds": ["echo three"],
            "ssm_targets": {"instance_ids": ["i-local"]},
        },
    ],
}  # fmt: skip
# A run in which nothing has ended while the commands are tried.
SLOW: Dict[str, Any] = {
    "username": "operations",
    "orders": [
        {"order_name": "one", "execution_target": "lambda", "timeout": 600, "stop_grace": 1, "cmds": ["sleep 500"]},
        {"order_name": "two", "execution_target": "lambda", "timeout": 60, "dependencies": ["one"], "cmds": ["true"]},
    ],
}


class Embedded(unittest.TestCase):
    def setUp(self) -> None:
        binary = os.environ.get("AWS_EXE")
        if not binary or not shutil.which("aws"):
            self.skipTest("AWS_EXE names no binary of the engine, or there is no AWS CLI")
        self.folder = Path(tempfile.mkdtemp(prefix="operations-"))
        self.addCleanup(shutil.rmtree, self.folder)
        # A session of its own, so that it can be ended with everything that it started.
        self.server = subprocess.Popen(
            [binary, "local", "--port", "0"], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.addCleanup(self.end)
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        self.assertTrue(line.startswith("ready: "), line)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder), "AWS_PAGER": "",
            "AWS_ENDPOINT_URL": line.split()[1],
            "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        }  # fmt: skip

    def end(self) -> None:
        self.server.send_signal(signal.SIGTERM)
        self.server.communicate(timeout=LIMIT)

    def shell(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=self.environment, text=True, check=False,
            timeout=LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, f"{script}\n\n{done.stdout}")
        return done.stdout

    def submit(self, run: str, job: Dict[str, Any], until: str) -> None:
        """Submits a job and waits until there is this object."""
        (self.folder / "request.json").write_text(json.dumps({"run_id": run, "job": job}))
        self.environment["AWS_DEFAULT_REGION"] = "us-east-1"
        call = "aws lambda invoke --function-name exe-sys-init-job --payload fileb://request.json answer.json"
        self.shell(f'{call} && grep \'"status":"ok"\' answer.json')
        self.there(until)

    def there(self, key: str) -> None:
        bucket, _, rest = key.partition("/")
        self.shell(f"for _ in $(seq 120); do aws s3 ls s3://{bucket}/{rest} && exit 0; sleep 0.5; done; exit 1")

    def variables(self, run: str) -> str:
        """The page's own first block, for the embedded AWS."""
        (first,) = (block for heading, block in blocks() if heading.startswith("1. "))
        local = first.replace("eu-central-1", "us-east-1").replace("the-run-id", run)
        return local.replace("-internal-$ACCOUNT-$REGION", "-internal").replace("-done-$ACCOUNT-$REGION", "-done")

    def test_the_first_job_of_a_deployment(self) -> None:
        (submit, look, signed) = (block for heading, block in blocks(DEPLOY) if heading == "The first job")
        self.environment["AWS_DEFAULT_REGION"] = "us-east-1"
        self.environment["API_URL"] = self.environment["AWS_ENDPOINT_URL"]
        # The same again, as a pipeline sends it, makes no second run. A session's token goes along, signed: one that nobody
        # has is refused for that.
        silent = signed.replace("curl ", "curl --silent ")
        script = [submit, "echo\nexport AWS_SESSION_TOKEN=", silent, "echo\nexport AWS_SESSION_TOKEN=nobodys", f"! {silent}"]
        answers = [json.loads(line) for line in self.shell("\n".join(script)).splitlines() if line.startswith('{"')]
        self.assertEqual((len(answers), answers[0]["run_id"]), (3, "first"))
        self.assertEqual(answers[1], answers[0])
        self.assertIn("security token", answers[2]["message"])
        self.there("exe-sys-done/first/done")
        # The names of the embedded AWS have neither account nor region.
        said = self.shell(look.replace("-$account-eu-west-1", ""))
        self.assertIn('"status":"succeeded"', said)
        self.assertIn("hello from first", said)

    def test_the_commands_that_look(self) -> None:
        self.submit("looked-at", JOB, "exe-sys-done/looked-at/done")
        script, run = [self.variables("looked-at")], 0
        for heading, block in blocks():
            if heading.startswith("3. ") and not any(f"aws {name} " in block for name in NOT_EMBEDDED):
                script.append(block)
                run += len(commands(block))
        text = "\n".join(script)
        # The ids in the page are examples.
        text = re.sub(
            r"^BUILD=.*$", "BUILD=$(aws codebuild list-builds --query 'ids[0]' --output text)", text, flags=re.M
        )
        text = re.sub(
            r"^COMMAND=.*$",
            "COMMAND=$(aws ssm list-commands --query 'Commands[0].CommandId' --output text)",
            text,
            flags=re.M,
        )
        said = self.shell(text)
        self.assertGreater(run, 14)
        for words in (
            '"completed"',
            "job_completed",
            '"orders": "3s"',
            "WaitStateEntered",
            "SUCCEEDED",
            "looked-at:0003",
        ):
            self.assertIn(words, said)

    def test_the_commands_that_change(self) -> None:
        chapters = {heading: block for heading, block in blocks()}
        (watchdogs,) = (block for _, block in blocks() if "\nEXECUTION=" in block)
        self.submit("helped", SLOW, "exe-sys-internal/tmp/claims/helped/0001.json")
        self.shell(
            "\n".join(
                [
                    self.variables("helped"),
                    watchdogs,
                    chapters["Wake a run"],
                    chapters["Start the tick again"],
                    chapters["Give an order a result by hand"],
                ]
            )  # fmt: skip
        )
        self.there("exe-sys-done/helped/done")
        said = self.shell("aws s3 cp s3://exe-sys-done/helped/done -")
        self.assertIn('"succeeded":2', said, "the result by hand stands, and what waited for it ran")

        self.submit("cancelled", SLOW, "exe-sys-internal/tmp/claims/cancelled/0001.json")
        begun = time.monotonic()
        self.shell(self.variables("cancelled") + "\n" + chapters["Cancel a run, or an order"])
        self.there("exe-sys-done/cancelled/done")
        self.assertLess(time.monotonic() - begun, LIMIT)
        self.assertIn('"cancelled":2', self.shell("aws s3 cp s3://exe-sys-done/cancelled/done -"))


if __name__ == "__main__":
    unittest.main()
