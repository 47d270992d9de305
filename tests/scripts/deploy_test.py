"""Tests of scripts/deploy.sh, scripts/teardown.sh and what they call, with stand-ins for all programs that reach out of the
machine (stand_in.py). What the scripts do to a real account they cannot show.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'

DEPLOY_TEST_SITES=all lets every call of a deployment and of a removal fail once, not only all that change something.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).with_name("stand_in.py")
COMPILED = Path(tempfile.gettempdir()) / "deploy-test-compiled"
ACCOUNT = "123456789012"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
STATE = f"exe-sys-tfstate-{ACCOUNT}-eu-west-1"
INTERNAL = f"exe-sys-internal-{ACCOUNT}-eu-west-1"
# Longer than any of the scripts takes with stand-ins, on a busy machine.
LIMIT = 120
# Calls that change something outside, by the words that they begin with.
CHANGES = (
    ("aws", "s3api", "create-bucket"), ("aws", "s3api", "put-object"), ("aws", "s3api", "delete-objects"),
    ("aws", "s3api", "delete-bucket"), ("aws", "s3api", "delete-bucket-policy"), ("aws", "s3", "cp"), ("aws", "ecr", "put-image"),
    ("aws", "ecr", "delete-repository"), ("aws", "stepfunctions", "stop-execution"), ("aws", "ssm", "delete-parameters"),
    ("docker", "buildx", "build"), ("docker", "create"),
)  # fmt: skip


def changes(call: List[str]) -> bool:
    if call[0] == "terraform" and len(call) > 2:
        return call[2] in ("apply", "destroy") or call[2:4] == ["state", "rm"]
    return any(tuple(call[: len(words)]) == words for words in CHANGES)


class World:
    """The folder that the stand-ins keep their world in, and what runs a script in it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="deploy-test-"))
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name in ("aws", "terraform", "docker", "git", "python3"):
            # By its full path: `python3` is one of those that are stood in for. Without site-packages it starts
            # faster, and an imported module is compiled only once.
            program = self.bin / name
            program.write_text(
                f"#!{sys.executable} -IS\nimport sys\nsys.pycache_prefix = {str(COMPILED)!r}\n"
                f"sys.path.insert(0, {str(STAND_IN.parent)!r})\nimport stand_in\nstand_in.main()\n"
            )
            program.chmod(0o755)
        self.write(
            account=ACCOUNT, buckets={}, policed=[], owners={}, versioning="Enabled", repositories={}, oidc=[], policies=[], executions=[],
            parameters=[], applied={}, backends={}, terraform_version="1.10.0", logged_in="", containers=[], changes="", shown="",
            broken_worker=False, late_log=False, loses_state_of=None, docker_runs=True, buildx=True, smoke_tests=0, calls=0,
            fail_at=0, fail_how="before",
        )  # fmt: skip

    def remove(self) -> None:
        shutil.rmtree(self.folder)

    def read(self) -> Dict[str, Any]:
        world: Dict[str, Any] = json.loads((self.folder / "world.json").read_text())
        return world

    def write(self, **changed: Any) -> None:
        path = self.folder / "world.json"
        world = self.read() if path.exists() else {}
        path.write_text(json.dumps({**world, **changed}))

    def lasting(self) -> Dict[str, Any]:
        """What of the world would be left in AWS."""
        world = self.read()
        kept = {key: world[key] for key in ("repositories", "oidc", "policies", "executions", "parameters", "containers")}
        kept["buckets"] = {name: sorted(keys) for name, keys in world["buckets"].items()}
        kept["applied"] = {module: applied["resources"] for module, applied in world["applied"].items()}
        return kept

    def calls(self) -> List[List[str]]:
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def forget_calls(self) -> None:
        (self.folder / "calls.jsonl").unlink(missing_ok=True)
        self.write(calls=0, fail_at=0)

    def run(
        self, script: str, *args: str, typed: str = "", path: Optional[str] = None
    ) -> "subprocess.CompletedProcess[str]":
        environment = {
            "PATH": path or f"{self.bin}{os.pathsep}/usr/bin{os.pathsep}/bin",
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "STAND_IN_WORLD": str(self.folder),
            "CARGO_TARGET_DIR": str(self.folder / "target"),
            "TERRAFORM": "terraform",
        }
        return subprocess.run(
            [str(ROOT / "scripts" / script), *args],
            env=environment, input=typed, capture_output=True, text=True, timeout=LIMIT, cwd=self.folder, check=False,
        )  # fmt: skip


Verdict = Callable[[List[str], "subprocess.CompletedProcess[str]", Dict[str, Any]], Optional[str]]


def failing_at_each(calls: List[List[str]], begin: Dict[str, Any], command: Tuple[str, ...], told: Verdict) -> List[str]:
    """Runs the command with each of its calls failing, then once more without a failure. Gives what went wrong; `told` says
    what is wrong with the first run and with what is left after the second.
    """

    def once(number: int, call: List[str], how: str) -> Optional[str]:
        world = World()
        try:
            world.write(**{**begin, "calls": 0, "fail_at": number, "fail_how": how})
            first = world.run(*command)
            world.forget_calls()
            again = world.run(*command)
            why = told(call, first, world.lasting()) if again.returncode == 0 else f"it does not go on\n{again.stderr}"
            return f"{how} {call}: {why}" if why else None
        finally:
            world.remove()

    # A call that only reads is the same before and after. One in three of those is enough for every day: what they
    # have in common is tested by the others.
    every = 1 if os.environ.get("DEPLOY_TEST_SITES") == "all" else 3
    sites = [(n, call, how) for n, call in enumerate(calls, 1) if changes(call) for how in ("before", "after")]
    sites += [(n, call, "before") for n, call in enumerate(calls, 1) if not changes(call) and n % every == 0]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return [why for why in pool.map(lambda site: once(*site), sites) if why]


class Scripts(unittest.TestCase):
    def setUp(self) -> None:
        self.world = World()
        self.addCleanup(self.world.remove)

    def run_well(self, script: str, *args: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
        done = self.world.run(script, *args, typed=typed)
        self.assertEqual(done.returncode, 0, f"{script} {args}\n{done.stdout}\n{done.stderr}")
        return done

    def steps(self) -> List[str]:
        """The calls that change something, shortened."""
        steps = []
        for call in self.world.calls():
            if not changes(call):
                continue
            if call[0] == "terraform":
                steps.append(f"{call[2]} {Path(call[1]).name}")
            elif call[:3] == ["aws", "s3", "cp"]:
                steps.append("upload " + call[-1].split("/", 3)[3][:12])
            elif call[0] == "aws":
                steps.append(call[2])
            else:
                steps.append(" ".join(call[:2]))
        return steps


class Deploy(Scripts):
    def test_a_first_run_does_all_steps_in_order(self) -> None:
        done = self.run_well("deploy.sh", "--region", "eu-west-1")
        steps = self.steps()
        uploads = [step for step in steps if step.startswith("upload ")]
        self.assertEqual(
            [step for step in steps if step not in uploads[:-1]],
            ["create-bucket", "apply 00-bootstrap", "put-object", "apply 01-ecr", "docker buildx", "put-image",
             "apply 02-deploy", "docker create", "upload worker/binar"],
        )  # fmt: skip
        self.assertEqual(len(uploads), 3, "two workers, and then which there are")
        world = self.world.read()
        self.assertEqual(world["smoke_tests"], 1)
        self.assertEqual(world["containers"], [])
        self.assertEqual(set(world["repositories"]["exe-sys"]), {COMMIT, f"deployed-dev-{COMMIT}"})
        self.assertEqual(done.stdout, "https://api.example\n", "standard output is for what others read")
        self.assertNotIn("a-password", done.stderr + json.dumps(self.world.calls()))

    def test_a_second_run_builds_and_uploads_nothing(self) -> None:
        self.run_well("deploy.sh", "--region", "eu-west-1")
        lasting = self.world.lasting()
        self.world.forget_calls()
        self.run_well("deploy.sh", "--region", "eu-west-1")
        self.assertEqual(
            self.steps(), ["apply 01-ecr", "put-image", "apply 02-deploy", "docker create", "upload worker/binar"]
        )
        self.assertEqual(self.world.lasting(), lasting)

    def test_a_run_that_failed_at_any_call_goes_on_where_it_was(self) -> None:
        command = ("deploy.sh", "--region", "eu-west-1", "--github", "acme/engine")
        begin = self.world.read()
        self.run_well(*command)
        expected, calls = self.world.lasting(), self.world.calls()
        self.assertGreater(len(calls), 30)

        def told(call: List[str], first: "subprocess.CompletedProcess[str]", lasting: Dict[str, Any]) -> Optional[str]:
            # Whether it is there already is asked about workers: a failure is a no. And a container that could not be
            # removed is left on this machine, not in AWS.
            unheard = call[:2] == ["docker", "rm"] or call[:3] == ["aws", "s3api", "head-object"]
            if first.returncode == 0 and not unheard:
                return f"nobody noticed\n{first.stderr}"
            lasting["containers"] = []
            return None if lasting == expected else f"it came out as {lasting}"

        self.assertEqual(failing_at_each(calls, begin, command, told), [])

    def test_a_plan_changes_nothing(self) -> None:
        done = self.run_well("deploy.sh", "--region", "eu-west-1", "--plan")
        self.assertEqual([call for call in self.world.calls() if changes(call)], [])
        self.assertIn(f"would create the bucket {STATE}", done.stderr)

        self.run_well("deploy.sh", "--region", "eu-west-1")
        lasting = self.world.lasting()
        self.world.forget_calls()
        done = self.run_well("deploy.sh", "--region", "eu-west-1", "--plan", "--bootstrap")
        self.assertEqual([call for call in self.world.calls() if changes(call)], [])
        self.assertEqual(self.world.lasting(), lasting)
        planned = [Path(call[1]).name for call in self.world.calls() if call[0] == "terraform" and "plan" in call]
        self.assertEqual(planned, ["00-bootstrap", "01-ecr", "02-deploy"])

    def test_nothing_that_holds_data_is_removed_by_the_way(self) -> None:
        for line in ("  # aws_kms_key.stack[0] will be destroyed", "  # aws_dynamodb_table.orders must be replaced"):
            with self.subTest(line=line):
                self.world.write(shown=f"Terraform will perform the following actions:\n\n{line}\n  # (because …)\n")
                done = self.world.run("deploy.sh", "--region", "eu-west-1")
                self.assertEqual(done.returncode, 1)
                self.assertIn("because data would be lost. Is a --var-file missing that was given before?", done.stderr)
                self.assertIn(line, done.stderr)
                self.assertEqual(self.world.read()["applied"], {})
        # An apply that failed half-way goes on.
        tainted = "  # aws_s3_bucket.internal is tainted, so must be replaced\n"
        self.world.write(shown=f"{tainted}  # aws_s3_bucket_policy.done must be replaced\n")
        self.run_well("deploy.sh", "--region", "eu-west-1")

    def test_an_image_that_is_there_is_deployed_without_a_build(self) -> None:
        self.run_well("deploy.sh", "--region", "eu-west-1")
        self.world.write(changes=" M README.md\n")
        self.world.forget_calls()
        self.run_well("deploy.sh", "--region", "eu-west-1", "--image-tag", COMMIT, "--stage", "prod")
        self.assertNotIn("docker buildx", self.steps())
        self.assertIn(f"deployed-prod-{COMMIT}", self.world.read()["repositories"]["exe-sys"])

        missing = self.world.run("deploy.sh", "--region", "eu-west-1", "--image-tag", "v9")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("there is no image exe-sys:v9 in eu-west-1", missing.stderr)

    def test_nothing_is_made_before_all_that_it_takes_is_there(self) -> None:
        command = ("deploy.sh", "--region", "eu-west-1")
        refused = [(self.world.run(*command, "--image-tag", "v9"), "there is no image exe-sys:v9 in eu-west-1")]
        self.world.write(changes=" M README.md\n")
        refused.append((self.world.run(*command), "commit them first"))
        shown = self.run_well(*command, "--plan")
        self.assertIn("without --plan this is refused", shown.stderr)
        self.world.write(changes="", docker_runs=False)
        refused.append((self.world.run(*command), "Docker does not answer"))
        self.world.write(docker_runs=True, buildx=False)
        refused.append((self.world.run(*command), "Docker has no buildx"))
        self.world.write(buildx=True)
        # The folders of the system may have a docker and a python3 of their own.
        path = self.world.folder / "few"
        path.mkdir()
        for name in ("aws", "bash", "basename", "cat", "dirname", "git", "mkdir", "sed", "terraform"):
            (path / name).symlink_to(shutil.which(name, path=f"{self.world.bin}{os.pathsep}{os.environ['PATH']}") or name)
        for program, needed in (("docker", "`docker` is missing"), ("python3", "`python3` is missing")):
            refused.append((self.world.run(*command, path=str(path)), needed))
            (path / program).symlink_to(self.world.bin / program)
        for done, why in refused:
            with self.subTest(why=why):
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stderr)
        self.assertEqual([call for call in self.world.calls() if changes(call)], [])

    def test_an_identity_provider_that_is_there_is_used(self) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
        self.world.write(oidc=[arn])
        self.run_well("deploy.sh", "--region", "eu-west-1", "--github", "acme/engine")
        given = self.world.read()["applied"]["00-bootstrap"]["given"]
        self.assertEqual((given["create_oidc_provider"], given["github_repository"]), ("false", "acme/engine"))

    def test_its_own_identity_provider_and_repository_stay(self) -> None:
        self.run_well("deploy.sh", "--region", "eu-west-1", "--github", "acme/engine")
        self.run_well("deploy.sh", "--region", "eu-west-1", "--bootstrap")
        given = self.world.read()["applied"]["00-bootstrap"]["given"]
        self.assertEqual((given.get("create_oidc_provider"), given["github_repository"]), (None, "acme/engine"))

    def test_somebody_elses_bucket_is_not_used(self) -> None:
        self.world.write(buckets={STATE: []}, owners={STATE: "210987654321"})
        done = self.world.run("deploy.sh", "--region", "eu-west-1")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"the bucket {STATE} belongs to another account", done.stderr)

    def test_a_bucket_with_other_things_is_not_taken_over(self) -> None:
        self.world.write(buckets={"company-state": ["other/terraform.tfstate"]})
        done = self.world.run("deploy.sh", "--region", "eu-west-1", "--state-bucket", "company-state")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--no-bootstrap uses it as it is", done.stderr)
        self.run_well("deploy.sh", "--region", "eu-west-1", "--state-bucket", "company-state", "--no-bootstrap")
        self.assertNotIn("00-bootstrap", self.world.read()["applied"])

        self.world.write(versioning="Suspended")
        done = self.world.run("deploy.sh", "--region", "eu-west-1", "--state-bucket", "company-state", "--no-bootstrap")
        self.assertIn("has no versioning", done.stderr)

    def test_another_account_is_refused(self) -> None:
        done = self.world.run("deploy.sh", "--region", "eu-west-1", "--account", "210987654321")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"the credentials are for account {ACCOUNT}, but --account says 210987654321", done.stderr)

    def test_an_old_terraform_is_refused(self) -> None:
        self.world.write(terraform_version="1.9.8")
        done = self.world.run("deploy.sh", "--region", "eu-west-1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("1.10 is the first that locks state in S3 itself", done.stderr)

    def test_a_worker_that_is_not_whole_is_not_uploaded(self) -> None:
        self.world.write(broken_worker=True)
        done = self.world.run("deploy.sh", "--region", "eu-west-1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("it is not whole", done.stderr)
        self.assertEqual(self.world.read()["buckets"][INTERNAL], [])
        self.assertEqual(self.world.read()["containers"], [])

    def test_settings_of_ones_own_reach_the_stack_and_names_cannot_be_changed_by_them(self) -> None:
        settings = self.world.folder / "my.tfvars"
        settings.write_text('log_level = "debug"\nprefix = "other"\n')
        self.run_well("deploy.sh", "--region", "eu-west-1", "--var-file", "my.tfvars")
        given = self.world.read()["applied"]["02-deploy"]["given"]
        self.assertEqual((given["log_level"], given["prefix"]), ("debug", "exe-sys"))

    def copy(self) -> Path:
        """Of the repository, for what Terraform leaves in a module's folder."""
        copy = self.world.folder / "a copy"
        shutil.copytree(ROOT / "scripts", copy / "scripts")
        shutil.copytree(ROOT / "infra", copy / "infra", ignore=shutil.ignore_patterns(".terraform*"))
        (copy / "tests" / "smoke").mkdir(parents=True)
        return copy

    def test_a_state_that_could_not_be_saved_is_saved_by_the_next_run(self) -> None:
        copy = self.copy()
        command = (str(copy / "scripts" / "deploy.sh"), "--region", "eu-west-1")
        self.world.write(loses_state_of="02-deploy")
        lost = self.world.run(*command)
        self.assertEqual(lost.returncode, 1)
        self.assertIn("The state of infra/02-deploy could not be saved", lost.stderr)
        self.assertNotIn("02-deploy", self.world.read()["applied"])
        unsaved = self.world.folder / "target" / "deploy" / STATE / "02-deploy" / "errored.tfstate"
        self.assertTrue(unsaved.exists(), "kept by stack")
        self.assertFalse((copy / "infra" / "02-deploy" / "errored.tfstate").exists())

        # It was not unlocked either. The command that is told is one for the shell, blanks and all.
        again = self.world.run(*command)
        self.assertEqual(again.returncode, 1)
        self.assertIn("is not taken now", again.stderr)
        (told,) = re.findall("^  TF_DATA_DIR=.*$", again.stderr, re.MULTILINE)
        data, program, folder, verb, lock_id = shlex.split(told)
        self.assertEqual((program, verb, lock_id), ("terraform", "force-unlock", "LOCK_ID"))
        self.assertEqual(folder, f"-chdir={copy}/infra/02-deploy")
        self.assertEqual(data, f"TF_DATA_DIR={unsaved.parent}/data")
        self.assertTrue(unsaved.exists())

        world = self.world.read()
        world["buckets"][STATE].remove("02-deploy/terraform.tfstate.tflock")
        self.world.write(buckets=world["buckets"])
        shown = self.world.run(*command, "--plan")
        self.assertIn("what follows is not the plan", shown.stderr)
        self.world.forget_calls()
        self.run_well(*command)
        told_of = [call[2] for call in self.world.calls() if call[1:2] == [f"-chdir={copy}/infra/02-deploy"]]
        self.assertLess(told_of.index("state"), told_of.index("plan"), "pushed before anything is planned")
        self.assertFalse(unsaved.exists())

        # One that lies in the folder itself may be another stack's.
        (copy / "infra" / "02-deploy" / "errored.tfstate").write_text("{}")
        found = self.world.run(*command)
        self.assertEqual(found.returncode, 1)
        self.assertIn(f"If it is this stack's, move it to {unsaved.parent}/", found.stderr)

    def test_a_lock_that_is_held_is_explained(self) -> None:
        self.run_well("deploy.sh", "--region", "eu-west-1")
        world = self.world.read()
        world["buckets"][STATE].append("01-ecr/terraform.tfstate.tflock")
        self.world.write(buckets=world["buckets"])
        for script, more in (("deploy.sh", ()), ("teardown.sh", ("--yes",))):
            with self.subTest(script=script):
                done = self.world.run(script, "--region", "eu-west-1", *more)
                self.assertEqual(done.returncode, 1)
                self.assertIn("The state of infra/01-ecr is locked", done.stderr)
        # Reading takes no lock.
        self.run_well("deploy.sh", "--region", "eu-west-1", "--plan")

    def test_a_local_state_of_the_bootstrap_is_moved(self) -> None:
        copy = self.copy()
        state = copy / "infra" / "00-bootstrap" / "terraform.tfstate"
        state.write_text("{}")
        done = self.world.run(str(copy / "scripts" / "deploy.sh"), "--region", "eu-west-1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(state.exists())
        moved = [call for call in self.world.calls() if "-migrate-state" in call]
        self.assertEqual(len(moved), 1)


class Teardown(Scripts):
    def setUp(self) -> None:
        super().setUp()
        self.run_well("deploy.sh", "--region", "eu-west-1", "--github", "acme/engine")
        world = self.world.read()
        world["buckets"][INTERNAL] += [f"logs/{n}.log" for n in range(5)]
        # Nobody may delete these as long as the bucket has its policy.
        world["buckets"][INTERNAL] += ["tmp/claims/r/0001.json", "tmp/callbacks/runs/r/0001/result.json"]
        self.world.write(
            buckets=world["buckets"],
            executions=["arn:aws:states:::execution:a", "arn:aws:states:::execution:b"],
            parameters=[f"/exe-sys/sops-keys/run-{n}" for n in range(12)] + ["/other/sops-keys/run-1"],
        )
        self.world.forget_calls()

    def test_without_confirmation_nothing_happens(self) -> None:
        lasting = self.world.lasting()
        for typed in ("", "\n", "yes\n", "exe-sys2\n"):
            with self.subTest(typed=typed):
                done = self.world.run("teardown.sh", "--region", "eu-west-1", typed=typed)
                self.assertEqual(done.returncode, 1)
                self.assertIn("nothing was removed", done.stderr)
        self.assertEqual([call for call in self.world.calls() if changes(call)], [])
        self.assertEqual(self.world.lasting(), lasting)

    def test_another_stacks_state_removes_nothing(self) -> None:
        lasting = self.world.lasting()
        words = ("--region", "eu-west-1", "--prefix", "other", "--state-bucket", STATE, "--yes")
        done = self.world.run("teardown.sh", *words)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"the bucket {STATE} has the state of the stack exe-sys in eu-west-1: nothing was removed", done.stderr)
        self.assertEqual(self.world.lasting(), lasting)

    def test_the_stack_and_the_images_go_and_the_state_stays(self) -> None:
        done = self.run_well("teardown.sh", "--region", "eu-west-1", typed="exe-sys\n")
        world = self.world.read()
        self.assertEqual(list(world["buckets"]), [STATE])
        self.assertEqual(world["repositories"], {})
        self.assertEqual(world["executions"], [])
        self.assertEqual(world["parameters"], ["/other/sops-keys/run-1"])
        steps = [step for step in self.steps() if step.startswith("destroy")]
        self.assertEqual(steps, ["destroy 02-deploy", "destroy 01-ecr"])
        self.assertIn(f"the bucket {STATE}: versions of the state", done.stderr)
        self.assertEqual(len(world["oidc"]), 1)

        # Again: there is nothing left to do.
        self.world.forget_calls()
        self.run_well("teardown.sh", "--region", "eu-west-1", "--yes")
        self.assertEqual([call for call in self.world.calls() if changes(call)], [])

    def test_images_can_be_kept(self) -> None:
        self.run_well("teardown.sh", "--region", "eu-west-1", "--yes", "--keep-images")
        self.assertIn("exe-sys", self.world.read()["repositories"])

    def test_everything_goes_but_the_identity_provider(self) -> None:
        done = self.run_well("teardown.sh", "--region", "eu-west-1", "--yes", "--everything")
        world = self.world.read()
        self.assertEqual((world["buckets"], world["repositories"], world["policies"]), ({}, {}, []))
        self.assertEqual(len(world["oidc"]), 1)
        self.assertIn("the identity provider token.actions.githubusercontent.com", done.stderr)
        # And once more there is nothing to be found.
        done = self.run_well("teardown.sh", "--region", "eu-west-1", "--yes", "--everything")
        self.assertIn("there is no bucket", done.stderr)

    def test_a_state_bucket_that_is_not_this_stacks_own_is_never_removed(self) -> None:
        world = self.world.read()
        for keys, why in (
            (["01-ecr/terraform.tfstate", "02-deploy/terraform.tfstate"], "was made elsewhere"),
            (["00-bootstrap/applied", "network/terraform.tfstate"], "there is network/ in it"),
            (["00-bootstrap/applied", "readme.txt"], "there is readme.txt in it"),
        ):
            with self.subTest(keys=keys):
                self.world.write(buckets={**world["buckets"], "company-state": keys})
                self.world.forget_calls()
                command = ("teardown.sh", "--region", "eu-west-1", "--state-bucket", "company-state", "--yes", "--everything")
                done = self.world.run(*command)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stderr)
                self.assertEqual([call for call in self.world.calls() if changes(call)], [], "before anything is removed")

        # One that was given its name and is this stack's goes.
        self.world.write(buckets={**world["buckets"], "company-state": ["00-bootstrap/applied", "archive/teardown-dev.tar.gz"]})
        self.run_well(*command)
        self.assertNotIn("company-state", self.world.read()["buckets"])

    def test_a_log_that_comes_late_is_removed_as_well(self) -> None:
        self.world.write(late_log=True)
        self.run_well("teardown.sh", "--region", "eu-west-1", "--yes")
        self.assertNotIn(INTERNAL, self.world.read()["buckets"])

    def test_a_teardown_that_failed_at_any_call_goes_on_where_it_was(self) -> None:
        command = ("teardown.sh", "--region", "eu-west-1", "--yes", "--everything")
        begin = self.world.read()
        self.run_well(*command)
        expected, calls = self.world.lasting(), self.world.calls()
        self.assertGreater(len(calls), 30)

        def told(call: List[str], first: "subprocess.CompletedProcess[str]", lasting: Dict[str, Any]) -> Optional[str]:
            # A failed removal is tried once more by the script itself.
            if first.returncode == 0 and call[2:3] != ["destroy"]:
                return f"nobody noticed\n{first.stderr}"
            return None if lasting == expected else f"it came out as {lasting}"

        self.assertEqual(failing_at_each(calls, begin, command, told), [])


class Arguments(Scripts):
    def refused(self, script: str, *args: str, says: Optional[str] = None) -> None:
        with self.subTest(script=script, args=args):
            done = self.world.run(script, *args)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn(says or "", done.stderr)
            self.assertIn(f"see scripts/{script} --help", done.stderr)
            self.assertEqual(self.world.calls(), [], "nothing is asked before the arguments are right")

    def test_each_script_tells_how_it_is_used(self) -> None:
        scripts = sorted(path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and os.access(path, os.X_OK))
        self.assertGreater(len(scripts), 15)
        # Where nothing is installed: whoever asks may be about to find out what is needed.
        bare = self.world.folder / "bare"
        bare.mkdir()
        for name in ("bash", "cat", "dirname"):
            (bare / name).symlink_to(shutil.which(name) or name)
        for script in scripts:
            with self.subTest(script=script):
                done = subprocess.run(
                    [f"scripts/{script}", "--help"], env={"PATH": str(bare), "CDPATH": "."}, capture_output=True, text=True,
                    timeout=LIMIT, cwd=ROOT, check=False,
                )  # fmt: skip
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(f"usage: scripts/{script}", done.stdout.replace("Usage", "usage"))

    def test_what_people_run_does_not_need_a_newer_bash_than_that_of_macos(self) -> None:
        newer = re.compile(r"\b(mapfile|readarray|declare -A|local -n|coproc)\b|\$\{\w+(,,?|\^\^?|@[A-Z])\}|;;&|&>>|\|&")
        for path in sorted((ROOT / "scripts").rglob("*.sh")):
            with self.subTest(path=path.name):
                self.assertEqual(newer.findall(path.read_text(encoding="utf-8")), [])

    def test_wrong_arguments_of_deploy_and_teardown(self) -> None:
        for script in ("deploy.sh", "teardown.sh"):
            here = ("--region", "eu-west-1")
            self.refused(script, says="a region is needed: --region, or AWS_REGION in the environment")
            self.refused(script, "--region", "europe", says="the region `europe` must look like eu-west-1")
            self.refused(script, "--region", says="--region needs a value")
            self.refused(script, *here, "--prefix", "", says="--prefix needs a value")
            self.refused(script, *here, "--prefix", "aws-things", says="must not begin with aws")
            self.refused(script, *here, "--prefix", "Exe", says="the prefix `Exe` must be 3 to 24")
            self.refused(script, *here, "--prefix", "a--b", says="the prefix `a--b` must be 3 to 24")
            self.refused(script, *here, "--account", "12", says="the account `12` must be 12 digits")
            self.refused(script, *here, "--state-bucket", "a.b", says="the bucket `a.b` must be")
            self.refused(script, *here, "--var-file", "none.tfvars", says="there is no file `none.tfvars`")
            self.refused(script, *here, "--what", says="`--what` is no option")
            self.refused(script, *here, "now", says="`now` is no option")

    def test_wrong_arguments_of_deploy(self) -> None:
        here = ("deploy.sh", "--region", "eu-west-1")
        self.refused(*here, "--image-tag", "latest", says="`latest` names another one tomorrow")
        self.refused(*here, "--image-tag", "a b", says="the image tag `a b` must be")
        self.refused(*here, "--stage", "Prod", says="the stage `Prod` must be")
        self.refused(*here, "--architecture", "riscv", says="--architecture `riscv` must be x86_64 or arm64")
        self.refused(*here, "--github", "acme/*", says="--github `acme/*` must look like org/repo")
        self.refused(*here, "--bootstrap-var-file", "none.tfvars", says="there is no file `none.tfvars`")
        self.refused(*here, "--workers", "nowhere", says="there is no `nowhere/binaries.json`")
        self.refused(*here, "--no-bootstrap", "--github", "a/b", says="which --no-bootstrap leaves out")

    def test_wrong_arguments_of_teardown(self) -> None:
        self.refused("teardown.sh", "--region", "eu-west-1", "--everything", "--keep-images", says="contradict each other")

    def test_the_backend(self) -> None:
        done = self.run_well("generate_backend.sh", STATE, "02-deploy", "eu-west-1")
        self.assertEqual(
            done.stdout,
            f'bucket       = "{STATE}"\nkey          = "02-deploy/terraform.tfstate"\nregion       = "eu-west-1"\n'
            "encrypt      = true\nuse_lockfile = true\n",
        )
        self.refused("generate_backend.sh", says="there are 0 arguments")
        self.refused("generate_backend.sh", STATE, "02-deploy", "eu-west-1", "x", says="there are 4 arguments")
        self.refused("generate_backend.sh", 'a"b', "02-deploy", "eu-west-1", says="the bucket")
        self.refused("generate_backend.sh", STATE, "prod", "eu-west-1", says="the stage `prod` must be 00-bootstrap")
        self.refused("generate_backend.sh", STATE, "02-deploy", "eu", says="the region `eu`")

    def test_the_variables(self) -> None:
        url = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/exe-sys"
        boundary = f"arn:aws:iam::{ACCOUNT}:policy/b"
        done = self.run_well("generate_tfvars.sh", url, COMMIT, "eu-west-1", "--prefix", "shop", "--architecture", "arm64",
                             "--permissions-boundary", boundary)  # fmt: skip
        self.assertEqual(
            dict(re.split(" += ", line) for line in done.stdout.splitlines()),
            {"prefix": '"shop"', "region": '"eu-west-1"', "image_repository_url": f'"{url}"', "image_tag": f'"{COMMIT}"',
             "architecture": '"arm64"', "permissions_boundary_arn": f'"{boundary}"'},
        )  # fmt: skip
        self.refused("generate_tfvars.sh", url, COMMIT, says="there are 2 arguments")
        self.refused("generate_tfvars.sh", f"{url}:tag", COMMIT, "eu-west-1", says="without a tag")
        self.refused("generate_tfvars.sh", url, "latest", "eu-west-1", says="`latest` names another one tomorrow")
        self.refused("generate_tfvars.sh", url, COMMIT, "eu-west-2", says="is not in eu-west-2")
        self.refused("generate_tfvars.sh", url, COMMIT, "eu-west-1", "--architecture", "arm", says="must be x86_64 or arm64")
        self.refused("generate_tfvars.sh", url, COMMIT, "eu-west-1", "--prefix", "ssm-x", says="must not begin with")
        self.refused("generate_tfvars.sh", url, COMMIT, "eu-west-1", "--permissions-boundary", "b", says="the ARN of a policy")
        self.refused("generate_tfvars.sh", url, COMMIT, "eu-west-1", "--x", says="`--x` is no option")

    def test_the_buckets_name(self) -> None:
        done = self.run_well("generate_bucket_name.sh", "--region", "eu-west-1")
        self.assertEqual(done.stdout, f"{STATE}\n")
        self.world.forget_calls()
        done = self.run_well("generate_bucket_name.sh", "--region", "eu-west-1", "--account", ACCOUNT, "--prefix", "shop")
        self.assertEqual((done.stdout, self.world.calls()), (f"shop-tfstate-{ACCOUNT}-eu-west-1\n", []))
        self.refused("generate_bucket_name.sh", says="a region is needed")
        self.refused("generate_bucket_name.sh", "--region", "eu-west-1", "--account", "1", says="must be 12 digits")
        self.refused("generate_bucket_name.sh", "x", says="`x` is no option")

    def test_the_mark(self) -> None:
        self.world.write(repositories={"exe-sys": {"v1": "sha256:ab"}})
        self.run_well("mark_deployed.sh", "exe-sys", "v1", "prod", "eu-west-1")
        again = self.run_well("mark_deployed.sh", "exe-sys", "v1", "prod", "eu-west-1")
        self.assertIn("is marked as deployed-prod-v1 already", again.stderr)
        self.assertEqual(self.world.read()["repositories"]["exe-sys"], {"v1": "sha256:ab", "deployed-prod-v1": "sha256:ab"})
        missing = self.world.run("mark_deployed.sh", "exe-sys", "v2", "prod", "eu-west-1")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("there is no image exe-sys:v2 in eu-west-1", missing.stderr)
        self.world.forget_calls()
        self.refused("mark_deployed.sh", "exe-sys", "v1", "prod", says="there are 3 arguments")
        self.refused("mark_deployed.sh", "a:b", "v1", "prod", "eu-west-1", says="must be a name, without registry and tag")
        self.refused("mark_deployed.sh", "exe-sys", "latest", "prod", "eu-west-1", says="`latest`")
        self.refused("mark_deployed.sh", "exe-sys", "v1", "PROD", "eu-west-1", says="the stage `PROD`")
        self.refused("mark_deployed.sh", "exe-sys", "v" * 120, "prod", "eu-west-1", says="the registry takes 128")

    def test_wrong_arguments_of_the_checks(self) -> None:
        self.refused("check-infra", "everything", says="`everything` is no check")
        self.refused("check-infra", "--root", says="--root needs a folder")
        self.refused("check-infra", "--root", "nowhere", says="`nowhere` is not a folder")


if __name__ == "__main__":
    unittest.main()
