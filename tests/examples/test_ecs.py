"""Holds examples/ecs-service against a model of ECR and ECS: what is released, what is refused, what is told."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
import unittest
from typing import Any, Dict, List

import standin
import worlds
from worlds import REGISTRY, ROOT, Health, World, image

sys.path.insert(0, str(ROOT / "examples" / "ecs-service"))

BACKEND = f"{REGISTRY}/shop/backend"
# The sidecar has the same image as the app, which must not make it be taken for it.
DEFINITION: Dict[str, Any] = {
    "family": "shop-backend",
    "taskRoleArn": "arn:aws:iam::111122223333:role/backend",
    "executionRoleArn": "arn:aws:iam::111122223333:role/execution",
    "networkMode": "awsvpc",
    "cpu": "512",
    "memory": "1024",
    "requiresCompatibilities": ["FARGATE"],
    "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
    "ephemeralStorage": {"sizeInGiB": 30},
    "pidMode": "task",
    "enableFaultInjection": False,
    "placementConstraints": [{"type": "memberOf", "expression": "attribute:zone == a"}],
    "proxyConfiguration": {
        "type": "APPMESH",
        "containerName": "envoy",
        "properties": [{"name": "AppPorts", "value": "8080"}],
    },
    "volumes": [
        {"name": "shared", "host": {}},
        {"name": "files", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"}},
    ],
    "containerDefinitions": [
        {
            "name": "migrate",
            "image": f"{BACKEND}:backend-v1.3.0",
            "essential": False,
            "command": ["./migrate"],
        },
        {
            "name": "app",
            "image": f"{BACKEND}:backend-v1.3.0",
            "cpu": 256,
            "essential": True,
            "portMappings": [{"containerPort": 8080, "hostPort": 8080, "protocol": "tcp", "name": "http"}],
            "environment": [
                {"name": "STAGE", "value": "prod"},
                {"name": "ODD", "value": 'a "quoted" $VALUE\nand a line'},
            ],
            "environmentFiles": [{"value": "arn:aws:s3:::config/app.env", "type": "s3"}],
            "secrets": [{"name": "DB", "valueFrom": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db"}],
            "mountPoints": [{"sourceVolume": "files", "containerPath": "/files", "readOnly": True}],
            "dependsOn": [{"containerName": "migrate", "condition": "SUCCESS"}],
            "healthCheck": {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3},
            "ulimits": [{"name": "nofile", "softLimit": 1024, "hardLimit": 4096}],
            "linuxParameters": {"initProcessEnabled": True},
            "dockerLabels": {"team": "shop"},
            "systemControls": [],
            "readonlyRootFilesystem": True,
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "/shop/backend",
                    "awslogs-region": "eu-central-1",
                    "awslogs-stream-prefix": "app",
                },
                "secretOptions": [],
            },
        },
        {"name": "envoy", "image": "public.ecr.aws/appmesh/aws-appmesh-envoy:v1.29.9.0-prod", "essential": True},
    ],
}
TAGS = [{"key": "team", "value": "shop"}, {"key": "cost-centre", "value": "42"}]


def service(name: str, **more: Any) -> Dict[str, Any]:
    revision = standin.revision_arn(f"shop-{name}", 1)
    return {
        "serviceName": name,
        "serviceArn": f"arn:aws:ecs:eu-central-1:111122223333:service/shop/{name}",
        "clusterArn": "arn:aws:ecs:eu-central-1:111122223333:cluster/shop",
        "status": "ACTIVE",
        "desiredCount": 2,
        "runningCount": 2,
        "pendingCount": 0,
        "taskDefinition": revision,
        "deploymentController": {"type": "ECS"},
        "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
        "deployments": [
            {
                "id": "ecs-svc/1",
                "status": "PRIMARY",
                "taskDefinition": revision,
                "desiredCount": 2,
                "runningCount": 2,
                "pendingCount": 0,
                "failedTasks": 0,
                "createdAt": "2025-01-01T00:00:00+00:00",
                "rolloutState": "COMPLETED",
            }
        ],  # fmt: skip
        "events": [],
        **more,
    }


class Shop(World):
    """A shop with two services. backend 1.3.0 was released and runs, in revision 1."""

    example = "ecs-service"

    def beginning(self) -> Dict[str, Any]:
        state: Dict[str, Any] = {
            "ecr": {
                "shop/backend": {
                    "mutability": "IMMUTABLE",
                    "images": [image("old", "commit-" + "0" * 40, "backend-v1.3.0", "backend-v1.3.0.released")],
                },
                "shop/frontend": {"mutability": "IMMUTABLE", "images": [image("web", "by-hand")]},
            },
            "ecs": {
                "definitions": [],
                "services": {"shop/backend": service("backend"), "shop/frontend": service("frontend")},
                "tasks": [],
            },
            "batch": {"definitions": [], "jobs": {}, "queues": []},
            "behaviour": {},
            "builds": {},
            "projects": ["shop-images"],
        }
        standin.register_task_definition(state, {**copy.deepcopy(DEFINITION), "tags": TAGS})
        web = {"name": "web", "image": f"{REGISTRY}/shop/frontend:by-hand", "essential": True}
        standin.register_task_definition(state, {"family": "shop-frontend", "containerDefinitions": [web]})
        return state

    def setUp(self) -> None:
        super().setUp()
        self.health = Health()
        self.addCleanup(self.health.server_close)
        self.addCleanup(self.health.shutdown)
        services = json.loads((self.code / "delivery/services.json").read_text())
        for entry in services.values():
            entry["health_url"] = self.health.url
        services["backend"]["health_text"] = "version {version}"
        (self.code / "delivery/services.json").write_text(json.dumps(services))
        self.health.answers = [(200, "version 1.4.0")]
        for name in ("backend", "frontend"):
            (self.code / name).mkdir()
            (self.code / name / "Dockerfile").write_text(f"FROM scratch\n# {name}\n")
        self.git("init", "--quiet")
        self.git("add", ".")
        self.commit = self.committed("first")
        self.tag("backend-v1.4.0")
        self.variables.update(
            RELEASE_TAG="backend-v1.4.0", RELEASE_COMMIT=self.commit, SOURCE_URL=str(self.code),
            WAIT_PAUSE="0.05", WAIT_LIMIT="30", HEALTH_PAUSE="0",
        )  # fmt: skip

    def git(self, *words: str) -> str:
        identity = [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.invalid",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "tag.gpgsign=false",
        ]
        return subprocess.run(
            ["git", *identity, *words], cwd=self.code, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()

    def committed(self, message: str) -> str:
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def tag(self, name: str) -> None:
        self.git("tag", "--annotate", "--force", "--message", name, name)

    def release(self, upto: str = "finish", **variables: str) -> None:
        verbs = ["check", "build", "register", "update", "stable", "health", "finish"]
        for verb in verbs[: verbs.index(upto) + 1]:
            self.succeeds(verb, **variables)

    def next_release(self, tag: str) -> None:
        """Another commit with a tag, which the variables then name."""
        self.variables.update(RELEASE_COMMIT=self.committed(tag), RELEASE_TAG=tag)
        self.tag(tag)
        self.health.answers = [(200, "version " + tag.rpartition("-v")[2])]

    def definitions(self, family: str = "shop-backend") -> List[Dict[str, Any]]:
        return [one for one in self.state["ecs"]["definitions"] if one["definition"]["family"] == family]

    def runs(self, name: str = "backend") -> str:
        return str(self.state["ecs"]["services"][f"shop/{name}"]["taskDefinition"]).rsplit("/", 1)[-1]

    def breaker(self, enable: bool, rollback: bool) -> None:
        state = self.state
        found = state["ecs"]["services"]["shop/backend"]["deploymentConfiguration"]
        found["deploymentCircuitBreaker"] = {"enable": enable, "rollback": rollback}
        self.write(state)

    def fare(self, tag: str, **how: Any) -> None:
        self.change(behaviour={**self.state["behaviour"], f"{BACKEND}:{tag}": how})


class Releasing(Shop):
    def test_a_release_changes_the_image_of_the_one_container_and_nothing_else(self) -> None:
        self.release()
        made = self.definitions()[1]
        wanted = copy.deepcopy(DEFINITION)
        wanted["containerDefinitions"][1]["image"] = f"{BACKEND}:backend-v1.4.0"
        found = {key: value for key, value in made["definition"].items() if key in DEFINITION}
        self.assertEqual(found, wanted)
        by_key = sorted(TAGS, key=lambda tag: tag["key"])
        self.assertEqual(sorted(made["tags"], key=lambda tag: tag["key"]), by_key)
        self.assertEqual(self.runs(), "shop-backend:2")
        self.assertEqual(self.runs("frontend"), "shop-frontend:1")
        (image,) = [one for one in self.state["ecr"]["shop/backend"]["images"] if "backend-v1.4.0" in one["tags"]]
        self.assertEqual(image["tags"], [f"commit-{self.commit}", "backend-v1.4.0", "backend-v1.4.0.released"])
        self.assertEqual([event["event_type"] for event in self.events], ["released"])

    def test_each_service_has_its_own_tags(self) -> None:
        self.tag("frontend-v0.1.0")
        self.release(RELEASE_TAG="frontend-v0.1.0")
        self.assertEqual(self.runs("frontend"), "shop-frontend:2")
        self.assertEqual(self.runs(), "shop-backend:1")

    def test_no_value_of_a_definition_is_on_a_command_line_or_in_a_log(self) -> None:
        self.release("check")
        for verb in ("build", "register"):
            self.assertNotIn("quoted", self.succeeds(verb))
        self.assertNotIn("quoted", json.dumps(self.calls()))
        self.assertNotIn(standin.PASSWORD, json.dumps(self.calls("docker")))

    def test_a_release_that_is_run_again_at_every_step_does_nothing_twice(self) -> None:
        for verb in ["check", "build", "register", "update", "stable", "health"]:
            self.succeeds(verb)
            self.succeeds(verb)
        self.succeeds("finish")
        self.succeeds("finish")
        self.assertEqual(len(self.definitions()), 2)
        self.assertEqual(len(self.calls("docker", "push")), 1)
        self.assertEqual(len(self.calls("ecs", "update-service")), 1)

    def test_a_call_that_failed_or_whose_answer_was_lost_is_made_good_by_another_run(self) -> None:
        verbs = ["build", "register", "update"]
        faults = [
            ("build", "docker push", "before"),
            ("build", "docker push", "after"),
            ("build", "ecr put-image", "before"),
            ("register", "ecs register-task-definition", "before"),
            ("register", "ecs register-task-definition", "after"),
            ("update", "ecs update-service", "before"),
            ("update", "ecs update-service", "after"),
        ]
        for verb, call, when in faults:
            with self.subTest(call=call, when=when):
                self.write(self.beginning())
                for before in verbs[: verbs.index(verb)]:
                    self.succeeds(before)
                self.change(faults=[{"call": call, "when": when}])
                self.fails(verb)
                # The whole job again, as a new run.
                self.release("stable")
                self.assertEqual(self.runs(), "shop-backend:2")
                self.assertEqual(len(self.definitions()), 2)

    def test_a_tag_that_was_put_though_the_answer_was_lost_is_put(self) -> None:
        self.release("health")
        self.change(faults=[{"call": "ecr put-image", "when": "after"}])
        self.succeeds("finish")
        self.fails("check", "was released before")

    def test_nothing_is_updated_while_the_image_or_the_revision_is_not_there(self) -> None:
        self.fails("register", "there is no image `shop/backend:backend-v1.4.0`")
        self.succeeds("build")
        self.fails("update", "has the image", "register one first")
        self.assertEqual(self.calls("ecs", "update-service"), [])

    def test_a_revision_made_by_hand_meanwhile_is_not_taken_for_the_release(self) -> None:
        self.release("register")
        state = self.state
        other = copy.deepcopy(DEFINITION)
        other["cpu"] = "1024"
        other["containerDefinitions"][1]["image"] = f"{BACKEND}:backend-v1.4.0"
        standin.register_task_definition(state, {**other, "tags": TAGS})
        self.write(state)
        self.succeeds("register")
        self.assertEqual(len(self.definitions()), 4)
        self.assertEqual(self.definitions()[3]["definition"]["cpu"], "512")


class Building(Shop):
    def setUp(self) -> None:
        super().setUp()
        self.variables.update(BUILD_PROJECT="shop-images", BUILD_PAUSE="0.05")

    def build(self) -> Dict[str, Any]:
        return dict(list(self.state["codebuild"].values())[-1])

    def test_by_a_build_of_the_project(self) -> None:
        self.succeeds("build")
        variables = self.build()["_variables"]
        self.assertEqual(self.build()["sourceVersion"], self.commit)
        self.assertEqual(variables["IMAGE"], f"{BACKEND}:commit-{self.commit}")
        self.assertTrue(variables["BUILD_WORDS"].startswith("--file backend/Dockerfile --label "), variables)
        self.succeeds("build")
        self.assertEqual(len(self.calls("codebuild", "start-build")), 1)
        self.assertEqual(self.calls("docker"), [])

    def test_a_build_that_fails(self) -> None:
        self.change(broken_build="Error while executing command: docker build. Reason: exit status 1")
        self.fails("build", "ended as FAILED: BUILD: Error while executing command", "in /aws/codebuild/shop-images")
        self.change(broken_build="")
        self.fails("build", "ended as FAILED")  # The same run gets its build back; another run begins a new one.
        self.succeeds("build", RUN_ID="run-2")

    def test_a_build_that_takes_too_long_is_stopped(self) -> None:
        self.change(stuck_build="BUILD")
        self.fails("build", "did not end within 1 s: it is at BUILD", BUILD_LIMIT="1")
        self.assertEqual(self.build()["buildStatus"], "STOPPED")

    def test_what_is_missing_is_told(self) -> None:
        self.fails("build", "Project cannot be found: nothing", BUILD_PROJECT="nothing")
        self.fails("build", "`BUILDER` cannot be `kaniko`", BUILD_PROJECT="", BUILDER="kaniko")
        (self.code / "backend/Dockerfile").unlink()
        self.fails("build", "there is no file `backend/Dockerfile`", BUILD_PROJECT="", BUILDER="docker")
        self.fails(
            "build",
            "buildah is not on the PATH: set BUILD_PROJECT",
            BUILD_PROJECT="",
            BUILDER="buildah",
            PATH=str(self.bin),
        )

    def test_the_project_is_one_that_codebuild_takes(self) -> None:
        project = json.loads((ROOT / "examples/ecs-service/image-project.json").read_text())
        call = {"words": ["codebuild", "create-project"], "input": project}
        self.assertEqual(worlds.misshapen(call), [])
        self.assertIn(project["name"], (ROOT / "examples/ecs-service/release.yaml").read_text())


class Refusing(Shop):
    def test_a_tag_that_was_released_before(self) -> None:
        self.release()
        self.fails("check", "`backend-v1.4.0` was released before", "Make a new tag")
        self.assertEqual(len(self.definitions()), 2)

    def test_a_tag_whose_image_is_of_another_commit(self) -> None:
        self.release("build")
        first = self.commit
        self.variables["RELEASE_COMMIT"] = self.committed("moved")
        self.tag("backend-v1.4.0")
        self.fails("check", "was used before", first, "Make a new tag")
        self.fails("build", "is the tag of another image already")

    def test_a_tag_that_was_moved_in_git_after_the_job_was_made(self) -> None:
        self.committed("second")
        self.tag("backend-v1.4.0")
        self.fails("check", self.commit, "a tag is never moved")
        self.assertEqual(self.calls("ecr"), [])

    def test_a_tag_that_git_does_not_have(self) -> None:
        self.fails("check", "there is no tag `backend-v9.9.9`", RELEASE_TAG="backend-v9.9.9")

    def test_an_unfinished_tag_after_a_newer_one_was_released(self) -> None:
        self.release("build")
        unfinished = dict(self.variables)
        self.next_release("backend-v1.5.0")
        self.release()
        self.fails("check", "never ended well, and backend-v1.5.0 was released since", **unfinished)

    def test_tags_that_are_none(self) -> None:
        for tag in (
            "backend-1.4.0",
            "backend-v1.4",
            "backend-v01.4.0",
            "backend-v1.4.0-rc1",
            "v1.4.0",
            "-v1.0.0",
            "backend-v1.4.0\nx",
        ):
            self.fails("check", "is no release tag", RELEASE_TAG=tag)
        self.fails("check", "services.json has backend, frontend", RELEASE_TAG="database-v1.4.0")

    def test_a_repository_whose_tags_can_be_moved(self) -> None:
        state = self.state
        state["ecr"]["shop/backend"]["mutability"] = "MUTABLE"
        self.write(state)
        self.fails("check", "set its imageTagMutability to IMMUTABLE")

    def test_a_service_that_is_not_there_or_of_another_kind(self) -> None:
        state = self.state
        state["ecs"]["services"]["shop/backend"]["deploymentController"] = {"type": "CODE_DEPLOY"}
        self.write(state)
        self.fails("check", "are made by CODE_DEPLOY")
        del state["ecs"]["services"]["shop/backend"]
        self.write(state)
        self.fails("check", "there is no service `backend` in the cluster `shop` (MISSING)")

    def test_a_container_that_is_not_there(self) -> None:
        path = self.code / "delivery/services.json"
        path.write_text(path.read_text().replace('"app"', '"api"'))
        self.fails("check", "has no container `api`; it has migrate, app, envoy")

    def test_mistakes_in_the_settings_are_told_all_at_once(self) -> None:
        (self.code / "delivery/services.json").write_text('{"backend": {"repositry": "x", "cluster": 3}}')
        self.fails(
            "check",
            "backend.repositry: unknown field",
            "backend.repository: is missing",
            "backend.cluster: should be a text",
        )
        self.fails("check", "`RELEASE_TAG` is not set", RELEASE_TAG="")
        done = self.script("deploy")
        self.assertEqual(done.returncode, 2)
        self.assertIn("not `deploy`", done.stdout)

    def test_numbers_that_are_none(self) -> None:
        for text in ("soon", "nan", "-1", "1e9"):
            self.fails("health", "`HEALTH_PAUSE` cannot be", HEALTH_PAUSE=text)

    def test_programs_that_are_missing(self) -> None:
        (self.bin / "aws").unlink()
        (self.bin / "git").symlink_to(subprocess.check_output(["which", "git"], text=True).strip())
        self.fails("check", "`aws` is not on the PATH", PATH=str(self.bin))


class Stabilising(Shop):
    def test_the_circuit_breaker_goes_back(self) -> None:
        self.fare("backend-v1.4.0", crash=3)
        self.release("update")
        self.fails(
            "stable", "did not become stable on shop-backend:2", "tasks failed to start", "EssentialContainerExited",
            "app: exit code 3", "deployment failed", "/shop/backend",
        )  # fmt: skip
        self.assertEqual(self.runs(), "shop-backend:1")
        # ECS has forgotten the deployment by now; that is told as well.
        self.fails("stable", "the service is on shop-backend:1: the circuit breaker")

    def test_the_circuit_breaker_without_going_back_and_a_second_try(self) -> None:
        self.breaker(enable=True, rollback=False)
        self.fare("backend-v1.4.0", crash=3)
        self.release("update")
        self.fails("stable", "circuit breaker: tasks failed to start")
        self.fare("backend-v1.4.0", looks=1)
        self.release()
        self.assertIn("--force-new-deployment", self.calls("ecs", "update-service")[-1])
        self.assertEqual(len(self.definitions()), 2)

    def test_a_service_that_is_never_stable(self) -> None:
        self.fare("backend-v1.4.0", looks=1_000_000)
        self.release("update")
        self.fails(
            "stable", "not within 1 s: 0 of 2 tasks run, 2 pending", "1 older deployment not yet gone", WAIT_LIMIT="1"
        )
        self.assertEqual(self.runs(), "shop-backend:2")

    def test_tasks_that_die_for_ever_without_a_circuit_breaker(self) -> None:
        self.breaker(enable=False, rollback=False)
        self.fare("backend-v1.4.0", crash=137)
        self.release("update")
        told = self.fails("stable", "not within 1 s", "exit code 137", WAIT_LIMIT="1")
        self.assertEqual(told.count("exit code 137"), 5, "so many tasks are told, not all")

    def test_an_image_that_cannot_be_pulled(self) -> None:
        self.release("update")
        state = self.state
        for one in state["ecr"]["shop/backend"]["images"]:
            one["tags"] = [tag for tag in one["tags"] if tag != "backend-v1.4.0"]
        self.write(state)
        self.fails("stable", "CannotPullContainerError")

    def test_somebody_elses_update(self) -> None:
        self.release("update")
        state = self.state
        standin.update_service(state, {"cluster": "shop", "service": "backend", "taskDefinition": "shop-backend:1"})
        self.write(state)
        self.fails("stable", "another deployment took its place: the service goes to shop-backend:1")

    def test_a_call_that_fails_while_it_is_told_why_hides_nothing(self) -> None:
        self.fare("backend-v1.4.0", crash=3)
        self.release("update")
        self.change(faults=[{"call": "ecs list-tasks"}])
        self.fails("stable", "its stopped tasks cannot be read", "did not become stable")


class Health_(Shop):
    def test_good_answers_in_a_row_are_wanted(self) -> None:
        good, bad = (200, "version 1.4.0"), (503, "starting")
        self.health.answers = [bad, good, good, (200, "version 1.3.0"), good]
        self.succeeds("health")
        self.assertEqual(self.health.asked, 7)
        self.assertEqual(self.events[0]["tries"], 7)

    def test_answers_that_are_not_good(self) -> None:
        for answer, told in [
            ((500, "no"), "status 500"),
            ((302, ""), "status 302"),
            ((204, "version 1.4.0"), "status 204"),
            ((200, "version 1.3.0"), "does not contain version 1.4.0"),
        ]:
            self.health.answers = [answer]
            self.fails("health", "did not become healthy in 3 tries", told, HEALTH_TRIES="3")

    def test_nobody_answers(self) -> None:
        path = self.code / "delivery/services.json"
        self.health.shutdown()
        self.health.server_close()
        self.fails("health", "no answer", "refused", HEALTH_TRIES="2")
        path.write_text(path.read_text().replace("http://", "ftp://"))
        self.fails("health", "should be http or https")

    def test_a_release_that_is_not_healthy_is_not_marked_and_can_be_tried_again(self) -> None:
        self.release("stable")
        self.health.answers = [(500, "")]
        self.fails("health", HEALTH_TRIES="2")
        self.health.answers = [(200, "version 1.4.0")]
        self.release()


class RollingBack(Shop):
    def roll_back(self, **variables: str) -> None:
        for verb in ("rollback", "rollback-stable", "rollback-health"):
            self.succeeds(verb, **variables)

    def test_to_the_release_before_and_again_without_going_further(self) -> None:
        self.release()
        self.next_release("backend-v1.5.0")
        self.release()
        self.assertEqual(self.runs(), "shop-backend:3")
        self.health.answers = [(200, "version 1.4.0")]
        self.roll_back()
        self.assertEqual(self.runs(), "shop-backend:2")
        self.roll_back()
        self.assertEqual(self.runs(), "shop-backend:2")
        self.assertEqual(len(self.definitions()), 3)

    def test_releases_that_did_not_end_well_are_passed_over(self) -> None:
        self.fare("backend-v1.4.0", crash=1)
        self.release("update")
        self.fails("stable")
        self.next_release("backend-v1.5.0")
        self.release()
        self.health.answers = [(200, "version 1.3.0")]
        self.roll_back()
        self.assertEqual(self.runs(), "shop-backend:1")

    def test_out_of_a_release_that_hangs(self) -> None:
        self.fare("backend-v1.4.0", looks=1_000_000)
        self.release("update")
        self.health.answers = [(200, "version 1.3.0")]
        self.roll_back()
        self.assertEqual(self.runs(), "shop-backend:1")

    def test_to_a_revision_that_was_made_by_hand(self) -> None:
        self.tag("frontend-v0.1.0")
        self.release(RELEASE_TAG="frontend-v0.1.0")
        self.roll_back(RELEASE_TAG="frontend-v0.1.0")
        self.assertEqual(self.runs("frontend"), "shop-frontend:1")

    def test_to_a_certain_release(self) -> None:
        self.release()
        self.next_release("backend-v1.5.0")
        self.release()
        self.health.answers = [(200, "version 1.3.0")]
        self.roll_back(ROLLBACK_TO="backend-v1.3.0")
        self.assertEqual(self.runs(), "shop-backend:1")
        self.fails("rollback", "has the image of `backend-v7.0.0`", ROLLBACK_TO="backend-v7.0.0")
        self.fails("rollback", "is not of the service `backend`", ROLLBACK_TO="frontend-v1.0.0")
        self.fails("rollback", "are both", ROLLBACK_TO="backend-v1.5.0")

    def test_there_is_nothing_before(self) -> None:
        self.fails("rollback", "nothing to go back to", RELEASE_TAG="backend-v1.3.0")
        self.fails("rollback", "has the image of `backend-v1.4.0`")

    def test_somebody_else_was_here(self) -> None:
        self.release()
        first = dict(self.variables)
        self.next_release("backend-v1.5.0")
        self.release()
        self.fails("rollback", "runs shop-backend:3, which is neither of `backend-v1.4.0` nor shop-backend:1", **first)
        self.assertEqual(self.runs(), "shop-backend:3")


class Values(unittest.TestCase):
    def test_what_is_left_out_is_what_the_api_says(self) -> None:
        if worlds.botocore is None:
            self.skipTest("botocore is not installed")
        from definition import READ_ONLY

        taken = worlds.operation_model("ecs", "register-task-definition").input_shape.members
        told = worlds.operation_model("ecs", "describe-task-definition").output_shape.members["taskDefinition"].members
        self.assertEqual(set(READ_ONLY), set(told) - set(taken))
        self.assertLessEqual(standin.TAKEN["register-task-definition"], set(taken))

    def test_tags_of_aws_are_left_out(self) -> None:
        from definition import registration

        described = {"taskDefinition": {"family": "f", "revision": 3}, "tags": [{"key": "aws:stack", "value": "x"}]}
        self.assertEqual(registration(described), {"family": "f"})


if __name__ == "__main__":
    unittest.main()
