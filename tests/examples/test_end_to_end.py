"""The engine itself runs the job files of the examples, order by order, with the stand-in programs on its PATH.

AWS_EXE names the binary; without it these tests are left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import unittest
from pathlib import Path
from typing import Any, Dict, List, Tuple

import test_batch
import test_ecs
from worlds import ROOT, World

# A run of seven orders takes seconds; a machine that builds something beside it is slower.
RUN_LIMIT = 300


def run(world: World, job: str, *, exit_code: int) -> Tuple[str, Dict[str, str]]:
    """Runs a job file; its output, and how each order ended."""
    path = world.folder / "job.yaml"
    path.write_text(job)
    secret = world.folder / "aws.json"
    secret.write_text('{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-key-that-is-not-told"}')
    binary = world.binary()
    subprocess.run([binary, "validate", path], check=True, stdout=subprocess.DEVNULL)
    environment = {**os.environ, "PATH": world.path}
    command: List[Any] = [binary, "run", path, "--json", "--secret", f"delivery/aws=@{secret}"]
    done = subprocess.run(
        command,
        env=environment,
        text=True,
        timeout=RUN_LIMIT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    world.assertEqual(done.returncode, exit_code, done.stdout)
    world.assertNotIn("a-key-that-is-not-told", done.stdout)
    ended = {}
    for line in done.stdout.splitlines():
        order = json.loads(line).get("order") if line.startswith("{") else None
        if order and order["ended_at"]:
            ended[order["order_name"]] = order["status"]
    return done.stdout, ended


def local(job: str, repository: Path, **variables: str) -> str:
    """A job file with the repository on this machine, and more variables beside the region."""
    more = "".join(f"\n      {name}: {json.dumps(value)}" for name, value in variables.items())
    lines = [f"git_repo: {repository}" if line.startswith("git_repo: https") else line for line in job.splitlines()]
    return (
        "\n".join(lines).replace("AWS_DEFAULT_REGION: eu-central-1", f"AWS_DEFAULT_REGION: eu-central-1{more}") + "\n"
    )


class EcsService(test_ecs.Shop):
    def setUp(self) -> None:
        super().setUp()
        self.binary()

    def job(self, kind: str, tag: str) -> str:
        made = subprocess.run(
            [self.code / "delivery/job", kind, tag], check=True, text=True, stdout=subprocess.PIPE,
            cwd=self.code, env={**os.environ, "SOURCE_URL": str(self.code)},
        )  # fmt: skip
        return local(made.stdout, self.code, WAIT_PAUSE="0.1", WAIT_LIMIT="60", HEALTH_PAUSE="0", BUILD_PAUSE="0.1")

    def test_a_release_a_second_try_and_a_rollback(self) -> None:
        # The scripts and the health URL of this test have to be in the commit.
        self.git("add", ".")
        self.next_release("backend-v1.4.0")
        said, ended = run(self, self.job("release", "backend-v1.4.0"), exit_code=0)
        orders = ["check", "build", "register", "update", "stable", "health", "finish"]
        self.assertEqual(ended, {name: "succeeded" for name in orders}, said)
        self.assertEqual(self.runs(), "shop-backend:2")

        said, ended = run(self, self.job("release", "backend-v1.4.0"), exit_code=1)
        self.assertIn("was released before", said)
        self.assertEqual(set(ended.values()), {"failed"}, said)
        self.assertEqual(len(self.definitions()), 2)

        self.health.answers = [(200, "version 1.3.0")]
        said, ended = run(self, self.job("rollback", "backend-v1.4.0"), exit_code=0)
        self.assertEqual(ended, {name: "succeeded" for name in ("rollback", "stable", "health")}, said)
        self.assertEqual(self.runs(), "shop-backend:1")

    def test_a_deployment_that_fails_ends_the_job(self) -> None:
        self.fare("backend-v1.4.0", crash=3)
        # And the image by a builder in the order, for once.
        job = self.job("release", "backend-v1.4.0").replace("BUILD_PROJECT: shop-images", "BUILDER: docker")
        said, ended = run(self, job, exit_code=1)
        self.assertEqual(len(self.calls("docker", "push")), 1)
        self.assertEqual((ended["update"], ended["stable"], ended["health"]), ("succeeded", "failed", "failed"), said)
        self.assertIn("tasks failed to start", said)
        self.assertEqual(self.runs(), "shop-backend:1")

    def test_the_job_script_refuses_what_it_cannot_fill_in(self) -> None:
        for words, told in [
            (["release"], "two words are wanted"),
            (["remove", "backend-v1.0.0"], "not `remove`"),
            (["release", "1.0.0"], "is no release tag"),
            (["release", "backend-v9.0.0"], "push it first"),
        ]:
            environment = {**os.environ, "SOURCE_URL": str(self.code)}
            done = subprocess.run(
                [self.code / "delivery/job", *words],
                env=environment,
                text=True,
                check=False,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn(told, done.stderr)


class BatchJob(test_batch.Reports):
    def setUp(self) -> None:
        super().setUp()
        self.binary()
        for words in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "first"]):
            identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]
            subprocess.run(["git", *identity, *words], cwd=self.code, check=True)

    def job(self, kind: str, **variables: str) -> str:
        return local((ROOT / f"examples/batch-job/{kind}.yaml").read_text(), self.code, **variables)

    def test_a_release_and_a_rollback(self) -> None:
        said, ended = run(self, self.job("release", TEST_PAUSE="0.1"), exit_code=0)
        self.assertEqual(ended, {name: "succeeded" for name in ("check", "register", "test")}, said)
        self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0"])
        run(self, self.job("rollback"), exit_code=0)
        self.assertEqual(self.there(), ["1 v2.0.0"])


if __name__ == "__main__":
    unittest.main()
