"""Stands in for the AWS CLI and for a builder of images, over a model of ECR, ECS, Batch and CodeBuild in a JSON file.

    standin.py WORLD aws ecs describe-services --cluster …      WORLD is the folder of state.json and calls.jsonl
    standin.py WORLD docker push …

Every call is recorded. Answers follow from the model alone: what was registered, updated or pushed is what is found
later, deployments move on with each look at them, and how tasks and jobs fare is told by the image (`behaviour` in the
state). `faults` in the state makes the next call of an operation fail, before or after it was applied.

Inputs and answers are recorded with the calls: worlds.py holds them against the services' own API models.
"""

from __future__ import annotations

import copy
import fcntl
import hashlib
import json
import re
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

ACCOUNT, REGION, PASSWORD = "111122223333", "eu-central-1", "an-ecr-password"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
# The CLI's exit codes: an error of the service, and words that it does not understand.
SERVICE_ERROR, BAD_WORDS = 254, 252
# Tasks that must fail before the circuit breaker gives a deployment up; ECS's own least is 3.
BREAKER = 3
# Flags that take several words, and those that are the CLI's own.
LISTS = {"services", "include", "tasks", "image-ids", "repository-names", "jobs", "ids"}
CLI_ONLY = {"output", "max-items", "cli-input-json"}
# What the two registrations take: they refuse all else, and what they are given comes from an answer that has more.
TAKEN = {
    "register-task-definition": set(
        "family taskRoleArn executionRoleArn networkMode containerDefinitions volumes placementConstraints "
        "requiresCompatibilities cpu memory tags pidMode ipcMode proxyConfiguration inferenceAccelerators "
        "ephemeralStorage runtimePlatform enableFaultInjection trustedExecutionConfiguration".split()
    ),
    "register-job-definition": set(
        "jobDefinitionName type parameters schedulingPriority containerProperties nodeProperties retryStrategy "
        "propagateTags timeout tags platformCapabilities eksProperties ecsProperties "
        "consumableResourceProperties".split()
    ),
}


class ServiceError(Exception):
    """An error that the service answers with."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@contextmanager
def world(folder: Path) -> Iterator[Dict[str, Any]]:
    """The state, alone; written back also when the call fails, as a service's would be."""
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / "state.json"
        state = json.loads(path.read_text())
        try:
            yield state
        finally:
            path.write_text(json.dumps(state, indent=1))


def now(state: Dict[str, Any]) -> str:
    """The model's time: it moves on by a second with each question."""
    state["second"] = state.get("second", 0) + 1
    return (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=state["second"])).isoformat()


# ── ECR ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def repository(state: Dict[str, Any], name: str) -> Dict[str, Any]:
    found = state["ecr"].get(name)
    if found is None:
        raise ServiceError("RepositoryNotFoundException", f"The repository with name '{name}' does not exist")
    return found


def by_tag(found: Dict[str, Any], tag: str) -> Optional[Dict[str, Any]]:
    return next((image for image in found["images"] if tag in image["tags"]), None)


def describe_repositories(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    return {
        "repositories": [
            {
                "repositoryName": name,
                "repositoryUri": f"{REGISTRY}/{name}",
                "imageTagMutability": repository(state, name)["mutability"],
            }
            for name in given["repositoryNames"]
        ]
    }


def describe_images(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    found = repository(state, given["repositoryName"])
    images = found["images"]
    if "imageIds" in given:
        images = [by_tag(found, one["imageTag"]) for one in given["imageIds"]]
        if None in images:
            raise ServiceError("ImageNotFoundException", "The image with the given imageId does not exist")
    return {
        "imageDetails": [
            {"imageDigest": one["digest"], "imageTags": one["tags"], "imagePushedAt": one["pushedAt"]} for one in images
        ]
    }


def batch_get_image(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    found = repository(state, given["repositoryName"])
    digests = [one["imageDigest"] for one in given["imageIds"]]
    return {
        "images": [
            {
                "imageManifest": one["manifest"],
                "imageManifestMediaType": one["mediaType"],
                "imageId": {"imageDigest": one["digest"]},
            }
            for one in found["images"]
            if one["digest"] in digests
        ],
        "failures": [],
    }


def put_image(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    found = repository(state, given["repositoryName"])
    digest = "sha256:" + hashlib.sha256(given["imageManifest"].encode()).hexdigest()
    if given.get("imageDigest", digest) != digest:
        raise ServiceError("ImageDigestDoesNotMatchException", "The digest is not that of the manifest")
    add_image(state, found, given["imageManifest"], given["imageTag"])
    return {"image": {"imageId": {"imageDigest": digest, "imageTag": given["imageTag"]}}}


def add_image(state: Dict[str, Any], found: Dict[str, Any], manifest: str, tag: str) -> None:
    """What ECR does with a manifest under a tag, whoever puts it."""
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    there = by_tag(found, tag)
    if there and there["digest"] == digest:
        raise ServiceError(
            "ImageAlreadyExistsException", f"Image with digest '{digest}' and tag '{tag}' already exists"
        )
    if there and found["mutability"] == "IMMUTABLE":
        raise ServiceError("ImageTagAlreadyExistsException", f"The image tag '{tag}' already exists and is immutable")
    if there:
        there["tags"].remove(tag)
    same = next((image for image in found["images"] if image["digest"] == digest), None)
    if same:
        same["tags"].append(tag)
        return
    media = "application/vnd.docker.distribution.manifest.v2+json"
    found["images"].append(
        {"digest": digest, "tags": [tag], "pushedAt": now(state), "manifest": manifest, "mediaType": media}
    )


# ── CodeBuild ──────────────────────────────────────────────────────────────────────────────────────────────────────

# What a build goes through, a look each.
PHASES = ["QUEUED", "PROVISIONING", "BUILD", "COMPLETED"]


def start_build(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    if given["projectName"] not in state.get("projects", []):
        raise ServiceError("ResourceNotFoundException", f"Project cannot be found: {given['projectName']}")
    builds = state.setdefault("codebuild", {})
    for build in builds.values():
        if build["_token"] == given.get("idempotencyToken"):
            return {"build": told(build)}
    name = f"{given['projectName']}:00000000-0000-4000-8000-{len(builds):012x}"
    builds[name] = {
        "id": name, "buildStatus": "IN_PROGRESS", "currentPhase": "QUEUED", "sourceVersion": given["sourceVersion"],
        "_token": given.get("idempotencyToken"),
        "_variables": {one["name"]: one["value"] for one in given["environmentVariablesOverride"]},
    }  # fmt: skip
    return {"build": told(builds[name])}


def told(build: Dict[str, Any]) -> Dict[str, Any]:
    return copy.deepcopy({key: value for key, value in build.items() if not key.startswith("_")})


def batch_get_builds(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    answer = []
    for name in given["ids"]:
        build = state["codebuild"][name]
        answer.append(told(build))
        if build["buildStatus"] != "IN_PROGRESS" or build["currentPhase"] == state.get("stuck_build"):
            continue
        build["currentPhase"] = PHASES[PHASES.index(build["currentPhase"]) + 1]
        if build["currentPhase"] == "COMPLETED":
            build["logs"] = {"groupName": f"/aws/codebuild/{name.split(':')[0]}", "streamName": name.split(":")[1]}
            if state.get("broken_build"):
                context = {"statusCode": "COMMAND_EXECUTION_ERROR", "message": state["broken_build"]}
                build["phases"] = [{"phaseType": "BUILD", "phaseStatus": "FAILED", "contexts": [context]}]
                build["buildStatus"] = "FAILED"
                continue
            image, _, tag = build["_variables"]["IMAGE"].rpartition(":")
            manifest = json.dumps({"schemaVersion": 2, "of": build["sourceVersion"], **build["_variables"]})
            add_image(state, repository(state, image.partition("/")[2]), manifest, tag)
            build["buildStatus"] = "SUCCEEDED"
    return {"builds": answer}


def stop_build(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    build = state["codebuild"][given["id"]]
    if build["buildStatus"] == "IN_PROGRESS":
        build.update(buildStatus="STOPPED", currentPhase="COMPLETED")
    return {"build": told(build)}


# ── ECS ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def revision_arn(family: str, revision: int) -> str:
    return f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{revision}"


def task_definition(state: Dict[str, Any], name: str) -> Dict[str, Any]:
    """By ARN, `family:revision`, or `family`, the newest active one."""
    family, _, revision = name.rsplit("/", 1)[-1].partition(":")
    found = [
        one
        for one in state["ecs"]["definitions"]
        if one["definition"]["family"] == family
        and (str(one["definition"]["revision"]) == revision if revision else one["definition"]["status"] == "ACTIVE")
    ]
    if not found:
        raise ServiceError("ClientException", "Unable to describe task definition.")
    return found[-1]


def register_task_definition(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    definition = {key: value for key, value in given.items() if key != "tags"}
    known = [one for one in state["ecs"]["definitions"] if one["definition"]["family"] == given["family"]]
    revision = len(known) + 1
    definition.update(
        taskDefinitionArn=revision_arn(given["family"], revision),
        revision=revision,
        status="ACTIVE",
        requiresAttributes=[{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
        compatibilities=["EC2", "FARGATE"],
        registeredAt=now(state),
        registeredBy=f"arn:aws:iam::{ACCOUNT}:user/delivery",
    )
    state["ecs"]["definitions"].append({"definition": definition, "tags": given.get("tags", [])})
    return {"taskDefinition": definition, "tags": given.get("tags", [])}


def describe_task_definition(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    found = task_definition(state, given["taskDefinition"])
    answer = {"taskDefinition": found["definition"]}
    if "TAGS" in given.get("include", []):
        answer["tags"] = found["tags"]
    return answer


def list_task_definitions(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    found = [
        one["definition"]["taskDefinitionArn"]
        for one in state["ecs"]["definitions"]
        if one["definition"]["family"] == given["familyPrefix"] and one["definition"]["status"] == given["status"]
    ]
    return {"taskDefinitionArns": found[::-1] if given.get("sort") == "DESC" else found}


def service_of(state: Dict[str, Any], given: Dict[str, Any], name: str) -> Optional[Dict[str, Any]]:
    return state["ecs"]["services"].get(f"{given['cluster']}/{name}")


def describe_services(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    services, failures = [], []
    for name in given["services"]:
        found = service_of(state, given, name)
        if found is None:
            arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:service/{given['cluster']}/{name}"
            failures.append({"arn": arn, "reason": "MISSING"})
            continue
        services.append(copy.deepcopy({key: value for key, value in found.items() if not key.startswith("_")}))
        for deployment in services[-1]["deployments"]:
            deployment.pop("_looks", None)
        # Told is how it was; then time passes.
        move_on(state, found)
    return {"services": services, "failures": failures}


def move_on(state: Dict[str, Any], service: Dict[str, Any]) -> None:
    """What happens between two looks: tasks of the primary deployment start or die."""
    deployments = service["deployments"]
    primary = next(one for one in deployments if one["status"] == "PRIMARY")
    deployments[:] = [one for one in deployments if one["rolloutState"] != "FAILED" or one is primary]
    if primary["rolloutState"] != "IN_PROGRESS":
        return
    primary["_looks"] = primary.get("_looks", 0) + 1
    definition = task_definition(state, primary["taskDefinition"])["definition"]
    images = [one["image"] for one in definition["containerDefinitions"]]
    missing = [image for image in images if image.startswith(REGISTRY) and not pullable(state, image)]
    fare: Dict[str, Any] = next((state["behaviour"][image] for image in images if image in state["behaviour"]), {})
    if missing or fare.get("crash"):
        crash(state, service, primary, missing[0] if missing else "", fare)
        return
    primary["pendingCount"] = service["desiredCount"]
    if primary["_looks"] >= fare.get("looks", 2):
        primary.update(runningCount=service["desiredCount"], pendingCount=0, rolloutState="COMPLETED")
        primary["rolloutStateReason"] = "ECS deployment completed."
        deployments[:] = [primary]
        service.update(runningCount=service["desiredCount"], pendingCount=0)
        tell(state, service, f"(service {service['serviceName']}) has reached a steady state.")


def pullable(state: Dict[str, Any], image: str) -> bool:
    name, _, tag = image[len(REGISTRY) + 1 :].rpartition(":")
    return name in state["ecr"] and by_tag(state["ecr"][name], tag) is not None


def crash(
    state: Dict[str, Any], service: Dict[str, Any], primary: Dict[str, Any], missing: str, fare: Dict[str, Any]
) -> None:
    """One more task that stops, and at the third the circuit breaker if the service has one."""
    primary["failedTasks"] = primary.get("failedTasks", 0) + 1
    cluster = service["clusterArn"].rsplit("/", 1)[-1]
    task = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{len(state['ecs']['tasks']):032x}"
    container: Dict[str, Any] = {"name": fare.get("container", "app"), "exitCode": fare.get("crash", 1)}
    reason, code = "Essential container in task exited", "EssentialContainerExited"
    if missing:
        reason, code = f"CannotPullContainerError: {missing}: not found", "TaskFailedToStart"
        container = {"name": "app", "reason": reason}
    state["ecs"]["tasks"].append(
        {
            "taskArn": task,
            "taskDefinitionArn": primary["taskDefinition"],
            "group": f"service:{service['serviceName']}",
            "lastStatus": "STOPPED",
            "desiredStatus": "STOPPED",
            "stopCode": code,
            "stoppedReason": reason,
            "containers": [container],
        }
    )
    tell(state, service, f"(service {service['serviceName']}) has started 1 tasks: (task {task.rsplit('/', 1)[-1]}).")
    breaker = service["deploymentConfiguration"]["deploymentCircuitBreaker"]
    if not breaker["enable"] or primary["failedTasks"] < BREAKER:
        return
    primary["rolloutState"] = "FAILED"
    primary["rolloutStateReason"] = "ECS deployment circuit breaker: tasks failed to start."
    tell(
        state,
        service,
        f"(service {service['serviceName']}) (deployment {primary['id']}) deployment failed: tasks failed to start.",
    )
    if breaker["rollback"]:
        deploy(state, service, service["_completed"])


def tell(state: Dict[str, Any], service: Dict[str, Any], message: str) -> None:
    service["events"].insert(0, {"id": f"event-{len(service['events'])}", "createdAt": now(state), "message": message})


def deploy(state: Dict[str, Any], service: Dict[str, Any], revision: str) -> None:
    """Begins a deployment; the one before becomes an older one."""
    for one in service["deployments"]:
        if one["status"] == "PRIMARY":
            if one["rolloutState"] == "COMPLETED":
                service["_completed"] = one["taskDefinition"]
            one["status"] = "ACTIVE"
    at = now(state)
    service["deployments"].insert(
        0,
        {
            "id": f"ecs-svc/{state['second']:019d}",
            "status": "PRIMARY",
            "taskDefinition": revision,
            "desiredCount": service["desiredCount"],
            "runningCount": 0,
            "pendingCount": 0,
            "failedTasks": 0,
            "createdAt": at,
            "updatedAt": at,
            "rolloutState": "IN_PROGRESS",
            "rolloutStateReason": "ECS deployment in progress.",
        },
    )
    service["taskDefinition"] = revision


def update_service(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    service = service_of(state, given, given["service"])
    if service is None:
        raise ServiceError("ServiceNotFoundException", "Service not found.")
    definition = task_definition(state, given["taskDefinition"])["definition"]
    if definition["status"] != "ACTIVE":
        raise ServiceError("ClientException", "TaskDefinition is inactive")
    arn = definition["taskDefinitionArn"]
    if arn != service["taskDefinition"] or given.get("forceNewDeployment"):
        deploy(state, service, arn)
    return {
        "service": {key: value for key, value in service.items() if key in ("serviceName", "status", "taskDefinition")}
    }


def list_tasks(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    group, status = f"service:{given['serviceName']}", given["desiredStatus"]
    found = [
        one["taskArn"] for one in state["ecs"]["tasks"] if one["group"] == group and one["desiredStatus"] == status
    ]
    return {"taskArns": found}


def describe_tasks(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    return {"tasks": [one for one in state["ecs"]["tasks"] if one["taskArn"] in given["tasks"]], "failures": []}


# ── Batch ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def job_arn(name: str, revision: int) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:job-definition/{name}:{revision}"


def describe_job_definitions(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    found = [one for one in state["batch"]["definitions"] if one["jobDefinitionName"] == given["jobDefinitionName"]]
    return {"jobDefinitions": [one for one in found if given.get("status") in (None, one["status"])]}


def register_job_definition(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    container = given.get("containerProperties", {})
    if container.get("vcpus") == 0 or container.get("memory") == 0:
        raise ServiceError("ClientException", "Error executing request, Exception : vCPU should be greater than 0.")
    name = given["jobDefinitionName"]
    revision = 1 + sum(one["jobDefinitionName"] == name for one in state["batch"]["definitions"])
    made = {"jobDefinitionName": name, "jobDefinitionArn": job_arn(name, revision), "revision": revision}
    state["batch"]["definitions"].append({**given, **made, "status": "ACTIVE", "containerOrchestrationType": "ECS"})
    return made


def deregister_job_definition(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    for one in state["batch"]["definitions"]:
        if given["jobDefinition"] in (one["jobDefinitionArn"], f"{one['jobDefinitionName']}:{one['revision']}"):
            one["status"] = "INACTIVE"
            return {}
    raise ServiceError("ClientException", f"{given['jobDefinition']} not found")


def submit_job(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    if given["jobQueue"] not in state["batch"]["queues"]:
        raise ServiceError(
            "ClientException", f"Error executing request, Exception : JobQueue {given['jobQueue']} not found"
        )
    known = [one for one in state["batch"]["definitions"] if one["jobDefinitionArn"] == given["jobDefinition"]]
    if not known or known[0]["status"] != "ACTIVE":
        raise ServiceError("ClientException", f"JobDefinition {given['jobDefinition']} not found or not ACTIVE")
    job = f"00000000-0000-4000-8000-{len(state['batch']['jobs']):012x}"
    properties = known[0].get("containerProperties", {})
    fare = state["behaviour"].get(properties.get("image", ""), {})
    state["batch"]["jobs"][job] = {
        "jobId": job, "jobName": given["jobName"], "jobQueue": given["jobQueue"],
        "jobDefinition": given["jobDefinition"],
        "status": "SUBMITTED", "startedAt": 0, "container": {"image": properties.get("image", "")}, "_fare": fare,
        "_command": given.get("containerOverrides", {}).get("command"),
    }  # fmt: skip
    return {"jobId": job, "jobName": given["jobName"]}


# What a job goes through, a look each.
STAGES = ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING"]


def describe_jobs(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    answer = []
    for name in given["jobs"]:
        job = state["batch"]["jobs"].get(name)
        if job is None:
            continue
        answer.append(copy.deepcopy({key: value for key, value in job.items() if not key.startswith("_")}))
        fare, status = job["_fare"], job["status"]
        if status in STAGES[:-1] and status != fare.get("stuck"):
            job["status"] = STAGES[STAGES.index(status) + 1]
        elif status == "RUNNING" and "stuck" not in fare:
            code = fare.get("crash", 0)
            job["status"] = "FAILED" if code else "SUCCEEDED"
            job["container"].update(exitCode=code, logStreamName=f"{job['jobName']}/default/{name[-12:]}")
            if code:
                job["statusReason"] = "Essential container in task exited"
    return {"jobs": answer}


def terminate_job(state: Dict[str, Any], given: Dict[str, Any]) -> Dict[str, Any]:
    job = state["batch"]["jobs"][given["jobId"]]
    if job["status"] not in ("SUCCEEDED", "FAILED"):
        job.update(status="FAILED", statusReason=given["reason"], isTerminated=True)
    return {}


# ── the programs ───────────────────────────────────────────────────────────────────────────────────────────────────

OPERATIONS: Dict[str, Dict[str, Callable[[Dict[str, Any], Dict[str, Any]], Dict[str, Any]]]] = {
    "ecr": {
        "describe-repositories": describe_repositories,
        "describe-images": describe_images,
        "batch-get-image": batch_get_image,
        "put-image": put_image,
    },
    "codebuild": {"batch-get-builds": batch_get_builds, "start-build": start_build, "stop-build": stop_build},
    "ecs": {
        "describe-services": describe_services,
        "describe-task-definition": describe_task_definition,
        "describe-tasks": describe_tasks,
        "list-task-definitions": list_task_definitions,
        "list-tasks": list_tasks,
        "register-task-definition": register_task_definition,
        "update-service": update_service,
    },
    "batch": {
        "describe-job-definitions": describe_job_definitions,
        "describe-jobs": describe_jobs,
        "deregister-job-definition": deregister_job_definition,
        "register-job-definition": register_job_definition,
        "submit-job": submit_job,
        "terminate-job": terminate_job,
    },
}


def camel(flag: str) -> str:
    return re.sub("-(.)", lambda found: found.group(1).upper(), flag)


def parse(words: List[str]) -> Dict[str, Any]:
    """The flags of a call as the API's input, and under `_` what is the CLI's own."""
    given: Dict[str, Any] = {"_": {}}
    position = 0
    while position < len(words):
        if not words[position].startswith("--"):
            raise SystemExit(f"Unknown options: {words[position]}")
        flag = words[position][2:]
        position += 1
        values = []
        while position < len(words) and not words[position].startswith("--"):
            values.append(words[position])
            position += 1
        if flag in CLI_ONLY:
            given["_"][flag] = values[0]
        elif flag == "image-ids":
            given[camel(flag)] = [dict([value.split("=", 1)]) for value in values]
        elif flag in LISTS:
            given[camel(flag)] = values
        elif flag == "force-new-deployment":
            given[camel(flag)] = True
        else:
            (given[camel(flag)],) = values
    document = given["_"].get("cli-input-json")
    if document:
        given.update(json.loads(Path(document[len("file://") :]).read_text()))
    return given


def unknown(operation: str, given: Dict[str, Any]) -> str:
    """What the CLI says of an input with names that the operation does not take."""
    names = set(given) - TAKEN.get(operation, set(given))
    return f"Parameter validation failed:\nUnknown parameter in input: {', '.join(sorted(names))}" if names else ""


def fault(state: Dict[str, Any], call: str, when: str) -> None:
    for one in state.get("faults", []):
        if one["call"] == call and one.get("when", "before") == when and one.get("times", 1) > 0:
            one["times"] = one.get("times", 1) - 1
            raise ServiceError(one.get("code", "ServerException"), "Service Unavailable. Please try again later.")


def aws(state: Dict[str, Any], words: List[str], record: Dict[str, Any]) -> int:
    service, operation, rest = words[0], words[1], words[2:]
    if (service, operation) == ("ecr", "get-login-password"):
        print(PASSWORD)
        return 0
    given = parse(rest)
    own = given.pop("_")
    title = "".join(part.capitalize() for part in operation.split("-"))
    wrong = unknown(operation, given)
    if wrong:
        print(f"\n{wrong}", file=sys.stderr)
        return BAD_WORDS
    record["input"] = given
    try:
        fault(state, f"{service} {operation}", "before")
        answer = OPERATIONS[service][operation](state, given)
        fault(state, f"{service} {operation}", "after")
    except ServiceError as error:
        print(f"\nAn error occurred ({error.code}) when calling the {title} operation: {error}", file=sys.stderr)
        return SERVICE_ERROR
    record["output"] = answer
    if "max-items" in own:
        answer = {key: value[: int(own["max-items"])] for key, value in answer.items()}
    if answer:
        print(json.dumps(answer, indent=4))
    return 0


def docker(state: Dict[str, Any], words: List[str]) -> int:
    """`build`, `login` and `push`, as docker, podman and buildah all have them."""
    if words[0] == "build":
        flags = [(words[i], words[i + 1]) for i in range(1, len(words) - 1, 2)]
        if Path(words[-1]).is_dir() and Path(dict(flags)["--file"]).is_file():
            content = [
                f"{path.relative_to(words[-1])}:{path.read_text()}"
                for path in sorted(Path(words[-1]).rglob("*"))
                if path.is_file()
            ]
            labels = sorted(value for flag, value in flags if flag == "--label")
            state["builds"][dict(flags)["--tag"]] = json.dumps(
                {"schemaVersion": 2, "content": content, "labels": labels}
            )
            print(f"built {dict(flags)['--tag']}")
            return 0
        print("there is no such context", file=sys.stderr)
        return 1
    if words[0] == "login":
        state["login"] = words[-1] if sys.stdin.read().strip() == PASSWORD else ""
        return 0 if state["login"] else 1
    if words[0] == "push":
        name, _, tag = words[1].rpartition(":")
        host, _, path = name.partition("/")
        if state.get("login") != host:
            print("no basic auth credentials", file=sys.stderr)
            return 1
        try:
            fault(state, "docker push", "before")
            add_image(state, repository(state, path), state["builds"][words[1]], tag)
            fault(state, "docker push", "after")
        except ServiceError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    print(f"unknown command: {words[0]}", file=sys.stderr)
    return 1


def main() -> int:
    folder, program, words = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with world(folder) as state:
        record: Dict[str, Any] = {"program": program, "words": words}
        try:
            return aws(state, words, record) if program == "aws" else docker(state, words)
        finally:
            with open(folder / "calls.jsonl", "a") as calls:
                calls.write(json.dumps(record) + "\n")


if __name__ == "__main__":
    sys.exit(main())
