"""Holds examples/batch-job against a model of Batch and ECR: what is registered, tried, taken back, and refused."""

from __future__ import annotations

import copy
import filecmp
import os
import signal
import subprocess
import sys
import time
import unittest
from typing import Any, Dict, List

import standin
import worlds
from worlds import REGISTRY, ROOT, World, image

REPOSITORY = f"{REGISTRY}/reports/nightly"
DEFINITION: Dict[str, Any] = {
    "jobDefinitionName": "nightly-report",
    "type": "container",
    "parameters": {"day": "yesterday"},
    "schedulingPriority": 7,
    "propagateTags": True,
    "platformCapabilities": ["EC2"],
    "retryStrategy": {"attempts": 3, "evaluateOnExit": [{"onStatusReason": "Host EC2*", "action": "RETRY"}]},
    "timeout": {"attemptDurationSeconds": 3600},
    "tags": {"team": "reports"},
    "containerProperties": {
        "image": f"{REPOSITORY}:v2.0.0",
        "command": ["report", "Ref::day"],
        "jobRoleArn": "arn:aws:iam::111122223333:role/report",
        "executionRoleArn": "arn:aws:iam::111122223333:role/execution",
        "volumes": [{"name": "scratch", "host": {"sourcePath": "/mnt"}}],
        "environment": [{"name": "STAGE", "value": "prod"}],
        "mountPoints": [{"sourceVolume": "scratch", "containerPath": "/scratch", "readOnly": False}],
        "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
        "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}],
        "linuxParameters": {"sharedMemorySize": 256, "initProcessEnabled": True},
        "logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "/reports"}, "secretOptions": []},
        "secrets": [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-central-1:111122223333:parameter/db"}],
        "readonlyRootFilesystem": True,
        "privileged": False,
    },
}


class Reports(World):
    """A definition whose one revision has the image v2.0.0; v2.1.0 and v2.2.0 are built."""

    example = "batch-job"

    def beginning(self) -> Dict[str, Any]:
        state: Dict[str, Any] = {
            "ecr": {
                "reports/nightly": {
                    "mutability": "IMMUTABLE",
                    "images": [image("0", "v2.0.0"), image("1", "v2.1.0"), image("2", "v2.2.0")],
                }
            },
            "ecs": {"definitions": [], "services": {}, "tasks": []},
            "batch": {"definitions": [], "jobs": {}, "queues": ["tests"]},
            "behaviour": {},
        }
        standin.register_job_definition(state, copy.deepcopy(DEFINITION))
        return state

    def setUp(self) -> None:
        super().setUp()
        self.variables.update(
            JOB_DEFINITION="nightly-report", REPOSITORY="reports/nightly", IMAGE_TAG="v2.1.0", JOB_QUEUE="tests",
            TEST_PAUSE="0.05", TEST_LIMIT="30",
        )  # fmt: skip

    def definitions(self) -> List[Dict[str, Any]]:
        return list(self.state["batch"]["definitions"])

    def there(self) -> List[str]:
        """The active revisions with their images' tags."""
        return [
            f"{one['revision']} {one['containerProperties']['image'].rpartition(':')[2]}"
            for one in self.definitions()
            if one["status"] == "ACTIVE"
        ]

    def replace(self, **properties: Any) -> None:
        """Puts a definition of another kind in the place of the one there."""
        state = self.state
        state["batch"]["definitions"] = []
        standin.register_job_definition(
            state, {"jobDefinitionName": "nightly-report", "type": "container", **properties}
        )
        self.write(state)


class Releasing(Reports):
    def test_a_release_changes_the_image_and_nothing_else(self) -> None:
        for verb in ("check", "register", "test"):
            self.succeeds(verb)
        made = self.definitions()[1]
        wanted = copy.deepcopy(DEFINITION)
        wanted["containerProperties"]["image"] = f"{REPOSITORY}:v2.1.0"
        self.assertEqual({key: value for key, value in made.items() if key in DEFINITION}, wanted)
        (job,) = self.state["batch"]["jobs"].values()
        self.assertEqual((job["jobDefinition"], job["status"]), (made["jobDefinitionArn"], "SUCCEEDED"))
        self.assertEqual(job["jobName"], "test-run-1-0003")

    def test_run_again_it_registers_nothing(self) -> None:
        self.succeeds("register")
        self.succeeds("register")
        self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0"])
        self.change(faults=[{"call": "batch register-job-definition", "when": "after"}])
        self.fails("register", IMAGE_TAG="v2.2.0")
        self.succeeds("register", IMAGE_TAG="v2.2.0")
        self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0", "3 v2.2.0"])

    def test_old_fields_that_are_zero_are_left_out(self) -> None:
        state = self.state
        state["batch"]["definitions"][0]["containerProperties"].update(vcpus=0, memory=0)
        self.write(state)
        self.succeeds("register")
        self.assertNotIn("vcpus", self.definitions()[1]["containerProperties"])

    def test_without_a_definition_or_an_image_it_fails(self) -> None:
        for verb in ("check", "register"):
            self.fails(verb, "there is no active job definition `weekly`", JOB_DEFINITION="weekly")
            self.fails(verb, "there is no image `reports/nightly:v9`", IMAGE_TAG="v9")
            self.fails(verb, "nothing", REPOSITORY="nothing")
        state = self.state
        state["batch"]["definitions"][0]["status"] = "INACTIVE"
        self.write(state)
        self.fails("register", "there is no active job definition `nightly-report`")
        self.assertEqual(self.calls("batch", "register-job-definition"), [])

    def test_kinds_that_are_not_handled_are_told(self) -> None:
        container = {"container": {"image": f"{REPOSITORY}:v2.0.0"}, "targetNodes": "0:1"}
        self.replace(
            type="multinode", nodeProperties={"numNodes": 2, "mainNode": 0, "nodeRangeProperties": [container]}
        )
        for verb in ("check", "register"):
            self.fails(verb, "is a multi-node job")
        self.replace(eksProperties={"podProperties": {"containers": [{"image": f"{REPOSITORY}:v2.0.0"}]}})
        for verb in ("check", "register"):
            self.fails(verb, "runs on EKS")
        self.assertEqual(self.calls("batch", "register-job-definition"), [])

    def test_one_of_several_containers(self) -> None:
        containers = [{"name": "report", "image": f"{REPOSITORY}:v2.0.0"}, {"name": "proxy", "image": "envoy:1"}]
        self.replace(ecsProperties={"taskProperties": [{"containers": containers}]})
        self.fails("register", "set `CONTAINER` to one of report, proxy")
        self.fails("register", "has no container `web`; it has report, proxy", CONTAINER="web")
        self.succeeds("register", CONTAINER="report")
        made = self.definitions()[1]["ecsProperties"]["taskProperties"][0]["containers"]
        self.assertEqual([one["image"] for one in made], [f"{REPOSITORY}:v2.1.0", "envoy:1"])

    def test_settings_that_cannot_be(self) -> None:
        self.fails("check", "the bare name is wanted", JOB_DEFINITION="nightly-report:3")
        self.fails("check", "an image tag", IMAGE_TAG="v1 v2")
        self.fails("check", "`REPOSITORY` is not set", REPOSITORY="")
        self.fails("check", "leave `CONTAINER` out", CONTAINER="report")


class Trying(Reports):
    def setUp(self) -> None:
        super().setUp()
        self.succeeds("register")

    def fare(self, **how: Any) -> None:
        self.change(behaviour={f"{REPOSITORY}:v2.1.0": how})

    def job(self) -> Dict[str, Any]:
        (job,) = self.state["batch"]["jobs"].values()
        return dict(job)

    def test_a_job_that_fails(self) -> None:
        self.fare(crash=17)
        self.fails(
            "test",
            "Essential container in task exited",
            "exit code 17",
            "log stream test-run-1-0003/default/",
            "/aws/batch/job",
        )
        self.assertEqual(self.calls("batch", "terminate-job"), [])

    def test_a_job_that_never_starts_is_terminated(self) -> None:
        self.fare(stuck="RUNNABLE")
        self.fails("test", "did not end within 1 s: it is RUNNABLE", TEST_LIMIT="1")
        self.assertTrue(self.job()["isTerminated"])

    def test_an_order_that_is_stopped_terminates_its_job(self) -> None:
        self.fare(stuck="RUNNING")
        environment = {"PATH": self.path, "HOME": str(self.folder), **self.variables}
        script = subprocess.Popen(
            [sys.executable, "delivery/deliver.py", "test"], cwd=self.code, env=environment, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        until = time.monotonic() + worlds.LIMIT
        while len(self.calls("batch", "describe-jobs")) < 4:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        # As the engine stops an order: the whole process group, so a call that is being made dies as well.
        os.killpg(script.pid, signal.SIGINT)
        said, _ = script.communicate(timeout=worlds.LIMIT)
        self.assertEqual(script.returncode, 130, said)
        self.assertTrue(self.job()["isTerminated"], said)

    def test_a_command_of_its_own_and_a_queue_that_is_not_there(self) -> None:
        self.succeeds("test", TEST_COMMAND="./report --self-test")
        self.assertEqual(self.job()["_command"], ["sh", "-c", "./report --self-test"])
        self.fails("test", "JobQueue nowhere not found", JOB_QUEUE="nowhere")
        self.fails("test", "`JOB_QUEUE` is not set", JOB_QUEUE="")

    def test_only_the_revision_of_the_release_is_tried(self) -> None:
        self.succeeds("register", IMAGE_TAG="v2.2.0")
        self.fails("test", "nightly-report:3 has the image", "register it first")


class RollingBack(Reports):
    def setUp(self) -> None:
        super().setUp()
        self.succeeds("register")
        self.variables["IMAGE_TAG"] = "v2.2.0"
        self.succeeds("register")
        self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0", "3 v2.2.0"])

    def test_revert_takes_back_one_release_however_often_it_is_run(self) -> None:
        for _ in range(2):
            self.succeeds("rollback", ROLLBACK="revert")
            self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0"])

    def test_revert_takes_back_every_revision_of_the_release(self) -> None:
        state = self.state
        again = {key: value for key, value in self.definitions()[2].items() if key in DEFINITION}
        standin.register_job_definition(state, again)
        self.write(state)
        self.change(faults=[{"call": "batch deregister-job-definition", "when": "after"}])
        self.fails("rollback", ROLLBACK="revert")
        self.succeeds("rollback", ROLLBACK="revert")
        self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0"])

    def test_revert_leaves_something(self) -> None:
        state = self.state
        for one in state["batch"]["definitions"][:2]:
            one["status"] = "INACTIVE"
        self.write(state)
        self.fails("rollback", "none would be left", ROLLBACK="revert")
        self.assertEqual(self.there(), ["3 v2.2.0"])

    def test_by_tag_however_often_and_though_it_was_deregistered(self) -> None:
        state = self.state
        state["batch"]["definitions"][0]["status"] = "INACTIVE"
        self.write(state)
        for _ in range(2):
            self.succeeds("rollback", ROLLBACK="tag", ROLLBACK_TO="v2.0.0")
            self.assertEqual(self.there(), ["2 v2.1.0", "3 v2.2.0", "4 v2.0.0"])
        self.fails("rollback", "has the image of the tag `v1.0.0`", ROLLBACK="tag", ROLLBACK_TO="v1.0.0")
        self.fails("rollback", "are both", ROLLBACK="tag", ROLLBACK_TO="v2.2.0")
        self.fails("rollback", "an image tag", ROLLBACK="tag")

    def test_the_last_one_once_more_however_often(self) -> None:
        for _ in range(2):
            self.succeeds("rollback", ROLLBACK="last")
            self.assertEqual(self.there(), ["1 v2.0.0", "2 v2.1.0", "3 v2.2.0", "4 v2.1.0"])

    def test_a_way_that_is_none(self) -> None:
        self.fails("rollback", "`revert`, `tag` or `last` is wanted", ROLLBACK="back")
        self.fails("rollback", "`revert`, `tag` or `last` is wanted")


class Values(unittest.TestCase):
    def test_both_folders_have_the_same_tools(self) -> None:
        first, second = (ROOT / "examples" / name / "tools.py" for name in ("ecs-service", "batch-job"))
        self.assertTrue(filecmp.cmp(first, second, shallow=False), f"{first} and {second} differ")

    def test_what_is_left_out_is_what_the_api_says(self) -> None:
        if worlds.botocore is None:
            self.skipTest("botocore is not installed")
        source = (ROOT / "examples/batch-job/definition.py").read_text()
        taken = set(worlds.operation_model("batch", "register-job-definition").input_shape.members)
        told = (
            worlds.operation_model("batch", "describe-job-definitions")
            .output_shape.members["jobDefinitions"]
            .member.members
        )
        line = next(line for line in source.splitlines() if line.startswith("READ_ONLY = "))
        self.assertEqual({word.strip(' "()') for word in line.partition("=")[2].split(",")}, set(told) - taken)
        self.assertLessEqual(standin.TAKEN["register-job-definition"], taken)


if __name__ == "__main__":
    unittest.main()
