"""Stands in for `aws`, `terraform`, `docker`, `git` and `python3` when the scripts are tested; `deploy_test.py` puts a program
under each of these names that calls `main` here.

It keeps a small world in the folder STAND_IN_WORLD: buckets with keys, a registry, what Terraform applied, key by key in one
JSON file. Each call is written down, and does to that world what the real program would do as far as the scripts can tell:
it fails where the real one would, with the same words where the scripts look at them. A call that it does not know fails
the test.

`world["fail_at"] = n` makes the n-th call fail, `"before"` it did anything or `"after"` it did it all.
"""

import fcntl
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, Dict, List, NoReturn

ACCOUNT = "123456789012"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WORKERS = {"x86_64": b"for x86_64", "aarch64": b"for aarch64"}

FOLDER = Path(os.environ["STAND_IN_WORLD"])
ARGS = sys.argv[1:]
NAME = Path(sys.argv[0]).name
# `docker login` is at the end of a pipe. What comes through it is read before the world is locked, as whoever writes
# it needs the world too.
TYPED = sys.stdin.read() if ARGS[:1] == ["login"] else ""
# Held until the end of this process.
LOCK = (FOLDER / "lock").open("w")
fcntl.flock(LOCK, fcntl.LOCK_EX)
WORLD: Dict[str, Any] = json.loads((FOLDER / "world.json").read_text())


def fail(why: str, code: int = 254) -> NoReturn:
    print(why, file=sys.stderr)
    sys.exit(code)


def aws_error(code: str, operation: str, why: str = "no") -> NoReturn:
    fail(f"An error occurred ({code}) when calling the {operation} operation: {why}")


def option(name: str, default: str = "") -> str:
    for number, arg in enumerate(ARGS):
        if arg == name:
            return ARGS[number + 1]
        if arg.startswith(name + "="):
            return arg[len(name) + 1 :]
    return default


def bucket(operation: str) -> List[str]:
    name = option("--bucket")
    if name not in WORLD["buckets"]:
        aws_error("NoSuchBucket", operation)
    keys: List[str] = WORLD["buckets"][name]
    return keys


def put(name: str, key: str) -> None:
    if name not in WORLD["buckets"]:
        aws_error("NoSuchBucket", "PutObject")
    if key not in WORLD["buckets"][name]:
        WORLD["buckets"][name].append(key)


def images(operation: str) -> Dict[str, str]:
    found = WORLD["repositories"].get(option("--repository-name"))
    if found is None:
        aws_error("RepositoryNotFoundException", operation)
    tags: Dict[str, str] = found
    return tags


def aws() -> None:
    what = " ".join(ARGS[:2])
    if what == "sts get-caller-identity":
        print(WORLD["account"])
    elif what == "s3api head-bucket":
        owner = WORLD["owners"].get(option("--bucket"), ACCOUNT)
        if option("--bucket") not in WORLD["buckets"]:
            aws_error("404", "HeadBucket", "Not Found")
        if option("--expected-bucket-owner") != owner:
            aws_error("403", "HeadBucket", "Forbidden")
    elif what == "s3api create-bucket":
        if option("--bucket") in WORLD["buckets"]:
            aws_error("BucketAlreadyOwnedByYou", "CreateBucket")
        WORLD["buckets"][option("--bucket")] = []
    elif what == "s3api wait":
        bucket("HeadBucket")
    elif what == "s3api list-objects-v2":
        found = sorted(key for key in bucket("ListObjectsV2") if key.startswith(option("--prefix")))
        print(found[0] if found else "None")
    elif what == "s3api get-bucket-versioning":
        bucket("GetBucketVersioning")
        print(WORLD["versioning"])
    elif what == "s3api put-object":
        put(option("--bucket"), option("--key"))
    elif what == "s3api head-object":
        if option("--key") not in bucket("HeadObject"):
            aws_error("404", "HeadObject", "Not Found")
    elif what == "s3 cp":
        local, remote = ARGS[-2:]
        name, key = remote[len("s3://") :].split("/", 1)
        assert Path(local).is_file(), local
        put(name, key)
    elif what == "s3api list-object-versions" and option("--delimiter"):
        # What is not in a folder has no slash after it.
        print("\t".join(sorted({re.sub("/.*", "/", key) for key in bucket("ListObjectVersions")})))
    elif what == "s3api list-object-versions":
        # Two a page, so that there is more than one.
        found = [{"Key": key, "VersionId": "1"} for key in bucket("ListObjectVersions")[:2]]
        print(json.dumps({"Quiet": True, "Objects": found}, indent=4))
    elif what == "s3api delete-objects":
        request = json.loads(Path(option("--delete")[len("file://") :]).read_text())
        refused = "None"
        for it in request["Objects"]:
            if option("--bucket") in WORLD["policed"] and it["Key"].startswith(("tmp/claims/", "tmp/callbacks/")):
                refused = f"{it['Key']}\tAccessDenied\tno"
            else:
                bucket("DeleteObjects").remove(it["Key"])
        print(refused)
    elif what == "s3api delete-bucket-policy":
        bucket("DeleteBucketPolicy")
        WORLD["policed"] = [name for name in WORLD["policed"] if name != option("--bucket")]
    elif what == "s3api delete-bucket":
        if bucket("DeleteBucket"):
            aws_error("BucketNotEmpty", "DeleteBucket")
        del WORLD["buckets"][option("--bucket")]
    elif what == "ecr get-login-password":
        print("a-password")
    elif what == "ecr describe-images":
        if option("--image-ids")[len("imageTag=") :] not in images("DescribeImages"):
            aws_error("ImageNotFoundException", "DescribeImages")
    elif what == "ecr batch-get-image":
        digest = images("BatchGetImage").get(option("--image-ids")[len("imageTag=") :])
        if "imageManifest'" in option("--query") or option("--query").endswith("imageManifest"):
            print(json.dumps({"digest": digest}))
        else:
            print(f"{digest}\tapplication/vnd.oci.image.manifest.v1+json" if digest else "None")
    elif what == "ecr put-image":
        manifest = json.loads(Path(option("--image-manifest")[len("file://") :]).read_text())
        tags = images("PutImage")
        if option("--image-tag") in tags:
            aws_error("ImageAlreadyExistsException", "PutImage")
        assert manifest["digest"] == option("--image-digest"), "another image"
        tags[option("--image-tag")] = manifest["digest"]
    elif what == "ecr delete-repository":
        images("DeleteRepository")
        del WORLD["repositories"][option("--repository-name")]
    elif what == "iam list-open-id-connect-providers":
        print("\t".join(WORLD["oidc"]) or "None")
    elif what == "iam get-policy":
        if option("--policy-arn") not in WORLD["policies"]:
            aws_error("NoSuchEntity", "GetPolicy")
    elif what == "stepfunctions list-executions":
        print("\t".join(WORLD["executions"]) or "None")
    elif what == "stepfunctions stop-execution":
        WORLD["executions"].remove(option("--execution-arn"))
    elif what == "ssm describe-parameters":
        path = option("--parameter-filters")[len("Key=Path,Option=OneLevel,Values=") :]
        found = [name for name in WORLD["parameters"] if re.fullmatch(re.escape(path) + "/[^/]+", name)]
        # A line a page, of fewer than AWS's ten so that there are more.
        for first in range(0, len(found), 5):
            print("\t".join(found[first : first + 5]))
    elif what == "ssm delete-parameters":
        names = ARGS[ARGS.index("--names") + 1 : ARGS.index("--query")]
        assert len(names) <= 10, "more than one request deletes"
        for name in names:
            WORLD["parameters"].remove(name)
    else:
        fail(f"the stand-in for aws does not know {ARGS}")


def variables() -> Dict[str, str]:
    given: Dict[str, str] = {}
    for arg in ARGS:
        if arg.startswith("-var="):
            name, value = arg[len("-var=") :].split("=", 1)
            given[name] = value
        elif arg.startswith("-var-file="):
            text = Path(arg[len("-var-file=") :]).read_text()
            given.update(re.findall(r'^(\w+) *= *"?([^"\n]*)"?$', text, re.MULTILINE))
    return given


def outputs(module: str, given: Dict[str, str]) -> Dict[str, str]:
    if module == "00-bootstrap":
        found = {"state_bucket": given["state_bucket"], "github_repository": given["github_repository"]}
        if given["github_repository"]:
            found["deploy_role_arn"] = f"arn:aws:iam::{ACCOUNT}:role/deploy"
        return found
    if module == "02-deploy":
        prefix, region = given["prefix"], given["region"]
        return {
            "internal_bucket": f"{prefix}-internal-{ACCOUNT}-{region}",
            "prefix": prefix,
            "region": region,
            "ssm_prefix": prefix,
            "watchdog_sfn": f"arn:aws:states:{region}:{ACCOUNT}:stateMachine:{prefix}-watchdog",
            "image_uri": f"{given['image_repository_url']}:{given['image_tag']}",
            "api_url": "https://api.example",
        }
    return {}


def types(module: str, given: Dict[str, str]) -> List[str]:
    if module == "00-bootstrap":
        found = ["aws_s3_bucket.state"]
        if given["github_repository"]:
            found.append("aws_iam_role.deploy[0]")
            if given.get("create_oidc_provider") != "false":
                found.append("aws_iam_openid_connect_provider.github[0]")
        return found
    return [{"01-ecr": "aws_ecr_repository.engine", "02-deploy": "aws_s3_bucket.internal"}[module]]


def apply(module: str, given: Dict[str, str]) -> None:
    WORLD["applied"][module] = {"given": given, "resources": types(module, given)}
    put(WORLD["backends"][module], f"{module}/terraform.tfstate")
    if module == "00-bootstrap" and given["github_repository"]:
        WORLD["policies"] = [f"arn:aws:iam::{ACCOUNT}:policy/{given['prefix']}-deploy-boundary-{given['region']}"]
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
        if given.get("create_oidc_provider") != "false" and arn not in WORLD["oidc"]:
            WORLD["oidc"].append(arn)
    if module == "01-ecr":
        WORLD["repositories"].setdefault(given["prefix"], {})
    if module == "02-deploy":
        tags = WORLD["repositories"][given["prefix"]]
        assert given["image_tag"] in tags, "functions are given an image that is not there"
        assert any(tag.startswith("deployed-") and digest == tags[given["image_tag"]] for tag, digest in tags.items())
        assert (given.get("permissions_boundary_arn") in WORLD["policies"]) == bool(WORLD["policies"]), "the boundary"
        for kind in ("internal", "done"):
            WORLD["buckets"].setdefault(f"{given['prefix']}-{kind}-{ACCOUNT}-{given['region']}", [])
        WORLD["policed"] = [f"{given['prefix']}-internal-{ACCOUNT}-{given['region']}"]


def terraform() -> None:
    if ARGS[0] == "version":
        print(json.dumps({"terraform_version": WORLD["terraform_version"]}))
        return
    module, command = Path(option("-chdir")).name, ARGS[1]
    if command == "init":
        text = Path(option("-backend-config")).read_text()
        backend = dict(re.findall(r'^(\w+) *= *"?([^"\n]*)"?$', text, re.MULTILINE))
        assert backend["key"] == f"{module}/terraform.tfstate" and backend["use_lockfile"] == "true"
        if backend["bucket"] not in WORLD["buckets"]:
            fail("Error: S3 bucket does not exist", 1)
        WORLD["backends"][module] = backend["bucket"]
        return
    if WORLD["backends"].get(module) not in WORLD["buckets"]:
        fail("Error: Backend initialization required", 1)
    applied = WORLD["applied"].get(module)
    lock = f"{module}/terraform.tfstate.tflock"
    locks = command in ("plan", "apply", "destroy") or ARGS[1:3] in (["state", "push"], ["state", "rm"])
    if locks and "-lock=false" not in ARGS and lock in WORLD["buckets"][WORLD["backends"][module]]:
        fail("Error: Error acquiring the state lock", 1)
    if command == "plan":
        if option("-out"):
            Path(option("-out")).write_text(json.dumps(variables()))
        else:
            assert "-lock=false" in ARGS, "a plan that is only shown must write no lock"
    elif command == "show":
        print(WORLD["shown"])
    elif command == "apply" and module == WORLD["loses_state_of"]:
        WORLD["loses_state_of"] = None
        Path(option("-chdir"), "errored.tfstate").write_text(Path(ARGS[-1]).read_text())
        put(WORLD["backends"][module], lock)
        fail("Error: Failed to persist state to backend", 1)
    elif command == "apply":
        apply(module, json.loads(Path(ARGS[-1]).read_text()))
    elif command == "state" and ARGS[2] == "push":
        apply(module, json.loads(Path(ARGS[3]).read_text()))
    elif command == "output":
        found = outputs(module, applied["given"]) if applied and applied["resources"] else {}
        if "-raw" in ARGS:
            if ARGS[-1] not in found:
                fail("Error: Output not found", 1)
            sys.stdout.write(found[ARGS[-1]])
        else:
            print(json.dumps({key: {"sensitive": False, "value": value} for key, value in found.items()}, indent=2))
    elif command == "state" and ARGS[2] == "pull":
        if applied:
            resources = [{"mode": "managed", "type": name.split(".")[0]} for name in applied["resources"]]
            print(json.dumps({"version": 4, "resources": resources}, indent=2))
    elif command == "state" and ARGS[2] == "list":
        if not applied:
            fail("No state file was found!", 1)
        print("\n".join(applied["resources"]))
    elif command == "state" and ARGS[2] == "rm":
        applied["resources"].remove(ARGS[3])
    elif command == "destroy":
        if not applied:
            return
        given = {**applied["given"], **variables()}
        if module == "00-bootstrap" and "aws_s3_bucket.state" in applied["resources"]:
            fail("Error: Instance cannot be destroyed", 1)
        if module == "02-deploy":
            for kind in ("internal", "done"):
                name = f"{given['prefix']}-{kind}-{ACCOUNT}-{given['region']}"
                if WORLD["late_log"] and WORLD["buckets"].get(name) == []:
                    WORLD["late_log"] = False
                    WORLD["buckets"][name].append("logs/late.log")
                if WORLD["buckets"].get(name):
                    fail("Error: deleting S3 Bucket: BucketNotEmpty", 1)
                WORLD["buckets"].pop(name, None)
        if module == "01-ecr" and WORLD["repositories"].get(given["prefix"]):
            fail("Error: RepositoryNotEmptyException", 1)
        if module == "01-ecr":
            WORLD["repositories"].pop(given["prefix"], None)
        if module == "00-bootstrap":
            WORLD["policies"] = []
        applied["resources"] = []
    else:
        fail(f"the stand-in for terraform does not know {ARGS}")


def sha256(what: bytes) -> str:
    # Only here, because it takes longer to import than most calls take.
    import hashlib

    return hashlib.sha256(what).hexdigest()


def docker() -> None:
    if ARGS == ["version"]:
        if not WORLD["docker_runs"]:
            fail("Cannot connect to the Docker daemon", 1)
    elif ARGS == ["buildx", "version"]:
        if not WORLD["buildx"]:
            fail("docker: unknown command: docker buildx", 1)
    elif ARGS[0] == "login":
        assert TYPED.strip() == "a-password", "the password comes by standard input"
        WORLD["logged_in"] = ARGS[-1]
    elif ARGS[:2] == ["buildx", "build"]:
        registry, rest = option("--tag").split("/", 1)
        repository, tag = rest.split(":")
        assert WORLD["logged_in"] == registry and "--push" in ARGS and "--provenance=false" in ARGS
        tags = WORLD["repositories"][repository]
        assert tag not in tags, "tags are immutable"
        tags[tag] = "sha256:" + sha256(tag.encode())
    elif ARGS[0] == "create":
        WORLD["containers"].append("c1")
        print("c1")
    elif ARGS[0] == "cp":
        folder = Path(ARGS[2])
        folder.mkdir()
        hashes = {machine: sha256(binary) for machine, binary in WORKERS.items()}
        for machine, binary in WORKERS.items():
            (folder / hashes[machine]).write_bytes(binary if not WORLD["broken_worker"] else b"half")
        (folder / "binaries.json").write_text(json.dumps(hashes))
    elif ARGS[0] == "rm":
        WORLD["containers"].remove(ARGS[1])
    else:
        fail(f"the stand-in for docker does not know {ARGS}")


def git() -> None:
    if "rev-parse" in ARGS:
        print(COMMIT)
    elif "status" in ARGS:
        print(WORLD["changes"], end="")
    elif "describe" in ARGS:
        print("v1.2.3")
    else:
        fail(f"the stand-in for git does not know {ARGS}")


def python3() -> None:
    if ARGS[:2] == ["-m", "venv"]:
        folder = Path(ARGS[2], "bin")
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("python", "pip"):
            folder.joinpath(name).unlink(missing_ok=True)
            folder.joinpath(name).symlink_to(sys.argv[0])
    elif ARGS[0].endswith("smoke.py"):
        assert json.loads(Path(option("--stack")).read_text())["api_url"]["value"] == "https://api.example"
        WORLD["smoke_tests"] += 1
    elif ARGS != ["-c", "import ensurepip, venv"]:
        fail(f"the stand-in for python3 does not know {ARGS}")


def pip() -> None:
    assert ARGS[0] == "install" and "--require-hashes" in ARGS, "what is installed is pinned"


def main() -> None:
    with (FOLDER / "calls.jsonl").open("a") as file:
        file.write(json.dumps([NAME, *ARGS]) + "\n")
    WORLD["calls"] += 1
    fails = WORLD["calls"] == WORLD["fail_at"]
    code = 0
    try:
        if fails and WORLD["fail_how"] == "before":
            fail("the stand-in was told to fail here", 77)
        {"aws": aws, "terraform": terraform, "docker": docker, "git": git, "python3": python3, "python": python3,
         "pip": pip}[NAME]()  # fmt: skip
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    (FOLDER / "world.json").write_text(json.dumps(WORLD, indent=1))
    if fails and code == 0:
        print("the stand-in was told to fail here, when all was done", file=sys.stderr)
        code = 77
    sys.exit(code)
