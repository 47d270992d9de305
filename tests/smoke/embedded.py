"""Drives `aws-exe local` as an outsider with boto3, and holds what a run leaves against docs/CONTRACT.md.

Usage: python tests/smoke/embedded.py [path of aws-exe]      (default: target/debug/aws-exe)

Two diamonds of four orders are submitted: one over HTTP to `POST /init`, one by a direct invoke of the function
`exe-sys-init-job`. Every look at the engine goes through its public interfaces alone. The exit code is 0 when nothing
differs; otherwise each difference is printed.
"""

import io
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
import zipfile
from decimal import Decimal
from pathlib import Path

import boto3
from botocore.config import Config

from support import check, conclusion, end, equal, keys_are, ready, start

ROOT = Path(__file__).resolve().parents[2]
SECRET = "canary-9f41c7e2-secret"
PARAMETER = "canary-5b82d0aa-parameter"
# Far more than a run needs, so that only something that hangs is late.
RUN_LIMIT = 120

TIME = re.compile(r"^[0-9]{10}\.[0-9]{6}$")
UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
LINES = 60_000


def diamond():
    """top → left, right → bottom. One order reports an event, one has secrets, one a log longer than a result keeps."""

    def order(name, cmds, **more):
        return {"order_name": name, "execution_target": "lambda", "timeout": 60, "cmds": cmds, **more}

    report = {"event_type": "deployed", "status": "done", "version": "1.2.3", "count": 4, "parts": {"a": [1, True, None]}}
    return {
        "username": "smoke",
        "flow_label": "diamond",
        "job_timeout": 600,
        "orders": [
            order("top", ["echo top of $RUN_ID", "echo second"], env_vars={"COLOUR": "blue"}),
            order("left", ['echo "secret: $SMOKE_SECRET, parameter: $TOKEN"', 'test "$TOKEN" = ' + PARAMETER + ' && echo it is there'],
                  dependencies=["top"], secret_manager_paths=["smoke/smoke-secret"], ssm_paths=["/smoke/token"]),
            order("right", [f"seq 1 {LINES}"], dependencies=["0001"], queue_id="second-branch"),
            order("bottom", [
                "env | cut -d= -f1 | sort > names && cat names",
                f"echo '{json.dumps(report)}' > \"$AWS_EXE_SYS_EVENTS_DIR/report.json\"",
                "echo 'no JSON' > \"$AWS_EXE_SYS_EVENTS_DIR/zz.json\"",
            ], dependencies=["left", "second-branch"]),
        ],
    }


def main():
    binary = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/aws-exe").resolve()
    server = start(binary)
    try:
        endpoint = ready(server)
        print(f"embedded AWS at {endpoint}")
        outsider = Outsider(endpoint)
        outsider.credentials()
        outsider.http_diamond()
        outsider.invoked_diamond()
        outsider.every_target()
        outsider.refusals()
    finally:
        end(server)
    return conclusion()


class Outsider:
    """Somebody who knows the endpoint and the contract."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        settings = {
            "endpoint_url": endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "config": Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        }
        self.s3 = boto3.client("s3", **settings)
        self.ssm = boto3.client("ssm", **settings)
        self.lambda_ = boto3.client("lambda", **settings)
        self.codebuild = boto3.client("codebuild", **settings)
        self.secrets = boto3.client("secretsmanager", **settings)
        self.sts = boto3.client("sts", **settings)
        tables = boto3.resource("dynamodb", **settings)
        self.orders = tables.Table("exe-sys-orders")
        self.events = tables.Table("exe-sys-order-events")
        self.locks = tables.Table("exe-sys-locks")

    def credentials(self):
        equal("account", self.sts.get_caller_identity()["Account"], "000000000000")
        self.ssm.put_parameter(Name="/smoke/token", Value=PARAMETER, Type="SecureString")
        self.secrets.create_secret(Name="smoke/smoke-secret", SecretString=json.dumps({"SMOKE_SECRET": SECRET}))

    def post(self, body, path="/init"):
        """Status and answer of a POST; the body is an object, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.endpoint + path, data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def http_diamond(self):
        print("a diamond through POST /init")
        body = {"job": diamond(), "run_id": "smoke-http", "trace_id": "0badcafe"}
        status, answer = self.post(body)
        equal("HTTP status", status, 200)
        self.answer(answer, "smoke-http", "0badcafe")
        self.run_left("smoke-http", "0badcafe")
        equal("the same job again", self.post(body), (200, answer))
        other = {"job": {**diamond(), "username": "other"}, "run_id": "smoke-http"}
        status, answer = self.post(other)
        equal("status of another job under the same run id", status, 409)
        keys_are("its answer", answer, ["status", "error", "run_id", "trace_id"])

    def invoked_diamond(self):
        print("a diamond through a direct invoke of exe-sys-init-job")
        invoked = self.lambda_.invoke(FunctionName="exe-sys-init-job", Payload=json.dumps({"job": diamond()}))
        equal("status of the invoke", (invoked["StatusCode"], invoked.get("FunctionError")), (200, None))
        answer = json.load(invoked["Payload"])
        run_id, trace_id = answer["run_id"], answer["trace_id"]
        equal("default run id", run_id, invoked["ResponseMetadata"]["RequestId"])
        check("trace id of 8 hex digits", re.fullmatch("[0-9a-f]{8}", trace_id), trace_id)
        self.answer(answer, run_id, trace_id)
        self.run_left(run_id, trace_id)

    def refusals(self):
        print("refusals")
        job = {"username": "a:b", "orders": [{"cmds": ["true"], "timeout": 10, "dependencys": []}]}
        status, answer = self.post({"job": job})
        equal("status of a bad job", status, 400)
        keys_are("its answer", answer, ["status", "error", "errors", "run_id", "trace_id"])
        equal("its first problem", answer["error"], answer["errors"][0])
        check("the nearest field is named", any("`dependencies`" in problem for problem in answer["errors"]), answer["errors"])
        equal("status of no JSON", self.post(b"{")[0], 400)
        two = {"username": "smoke", "orders": [
            {"order_name": "a", "cmds": ["true"], "timeout": 10, "execution_target": "lambda", "dependencies": ["b"]},
            {"order_name": "b", "cmds": ["true"], "timeout": 10, "execution_target": "lambda", "dependencies": ["a"]},
            {"order_name": "c", "cmds": ["true"], "timeout": 10, "execution_target": "ssm"},
        ]}
        status, answer = self.post({"job": two})
        equal("status of a cycle", status, 400)
        check("the cycle is told", any("a → b → a" in problem for problem in answer["errors"]), answer["errors"])
        check("missing instances are told", any("orders[2].ssm_targets" in problem for problem in answer["errors"]),
              answer["errors"])
        status, answer = self.post({"job": diamond()}, "/ssm")
        equal("status of a lambda order at /ssm", status, 400)
        request = urllib.request.Request(self.endpoint + "/init", headers={"content-type": "application/json"})
        try:
            urllib.request.urlopen(request, timeout=60)
            check("GET /init should be refused", False)
        except urllib.error.HTTPError as error:
            check("GET /init should be refused", error.code in (404, 405), error.code)

    def every_target(self):
        """Lambda, then CodeBuild, then an instance, and what CodeBuild and Systems Manager say of it."""
        print("a job on every target")
        run_id = "smoke-targets"
        order = {"cmds": ["echo $ORDER_ID"], "timeout": 60}
        job = {"username": "smoke", "orders": [
            {**order, "order_name": "function", "execution_target": "lambda"},
            {**order, "order_name": "build", "dependencies": ["function"]},
            {**order, "order_name": "fleet", "execution_target": "ssm", "dependencies": ["build"],
             "ssm_targets": {"tags": {"Name": "local"}}},
        ]}
        status, _ = self.post({"job": job, "run_id": run_id})
        equal("HTTP status", status, 200)
        done = self.wait_for_done(run_id)
        equal("done", done, {"status": "succeeded", "summary": {"succeeded": 3, "failed": 0, "timed_out": 0}})
        self.wait_for_completed(run_id)
        rows = self.query_rows(run_id)
        equal("targets", [row["execution_target"] for row in rows], ["lambda", "codebuild", "ssm"])
        claim = json.load(self.object(f"tmp/claims/{run_id}/0002.json"))
        build = claim["by"].removeprefix("codebuild:")
        builds = self.codebuild.batch_get_builds(ids=[build])["builds"]
        equal("the build as CodeBuild has it", [(one["id"], one["buildStatus"]) for one in builds], [(build, "SUCCEEDED")])
        given = {variable["name"]: variable["value"] for variable in builds[0]["environment"]["environmentVariables"]}
        equal("variables of the build", (given["RUN_ID"], given["ORDER_NUM"]), (run_id, "0002"))
        claim = json.load(self.object(f"tmp/claims/{run_id}/0003/i-local.json"))
        command, instance = claim["by"].removeprefix("ssm:").split(":")
        invocation = self.ssm.get_command_invocation(CommandId=command, InstanceId=instance)
        equal("the command as Systems Manager has it", (invocation["Status"], invocation["ResponseCode"]), ("Success", 0))
        equal("its comment", invocation["Comment"], f"{run_id}:0003")
        pinned = json.load(self.object(f"tmp/exec/{run_id}/0003/targets.json"))
        equal("pinned instances", pinned, {"schema_version": 1, "instances": ["i-local"]})
        share = json.load(self.object(f"tmp/callbacks/runs/{run_id}/0003/instances/i-local/result.json"))
        equal("the share's log", share["log"], "fleet\n")
        result = json.load(self.object(f"tmp/callbacks/runs/{run_id}/0003/result.json"))
        equal("the order's log", result["log"], "i-local succeeded\n\n── i-local ──\nfleet\n")
        keys = self.s3.list_objects_v2(Bucket="exe-sys-internal", Prefix=f"tmp/exec/{run_id}/0003/")["Contents"]
        keys_are("what is left of the dispatch", [entry["Key"].rsplit("/", 1)[1] for entry in keys], ["exec.zip", "targets.json"])

    def answer(self, answer, run_id, trace_id):
        equal("answer", answer, {
            "status": "ok",
            "run_id": run_id,
            "trace_id": trace_id,
            "flow_id": f"smoke:{trace_id}-diamond",
            "done_endpt": f"s3://exe-sys-done/{run_id}/done",
            "pr_search_tag": None,
            "init_pr_comment": None,
        })

    def run_left(self, run_id, trace_id):
        """Waits for `done` and checks everything that the run left."""
        done = self.wait_for_done(run_id)
        equal("done", done, {"status": "succeeded", "summary": {"succeeded": 4, "failed": 0, "timed_out": 0}})
        item = self.wait_for_completed(run_id)
        rows = self.rows(run_id, trace_id)
        results = self.results(run_id)
        self.run_item(item, run_id, trace_id, rows)
        self.event_rows(run_id, trace_id, rows, results)
        self.objects(run_id)

    def wait_for_done(self, run_id):
        until = time.monotonic() + RUN_LIMIT
        while time.monotonic() < until:
            try:
                return json.load(self.s3.get_object(Bucket="exe-sys-done", Key=f"{run_id}/done")["Body"])
            except self.s3.exceptions.NoSuchKey:
                time.sleep(0.05)
        sys.exit(f"`{run_id}/done` did not come within {RUN_LIMIT} s; rows: {self.query_rows(run_id)}")

    def wait_for_completed(self, run_id):
        """`done` comes first; the commit as completed and the end of the key follow in the same pass."""
        until = time.monotonic() + RUN_LIMIT
        while time.monotonic() < until:
            item = self.locks.get_item(Key={"pk": f"lock:{run_id}"}, ConsistentRead=True)["Item"]
            if item["status"] == "completed" and not self.has_key(run_id):
                return item
            time.sleep(0.05)
        sys.exit(f"the run item of `{run_id}` is not completed within {RUN_LIMIT} s, or its key is still there: {item}")

    def has_key(self, run_id):
        return not self.ssm.get_parameters(Names=[f"/exe-sys/sops-keys/{run_id}"])["InvalidParameters"]

    def query_rows(self, run_id):
        return self.orders.query(
            IndexName="run_id-order_num-index",
            KeyConditionExpression="run_id = :run",
            ExpressionAttributeValues={":run": run_id},
        )["Items"]

    def rows(self, run_id, trace_id):
        rows = self.query_rows(run_id)
        equal("order numbers of the rows", [row["order_num"] for row in rows], ["0001", "0002", "0003", "0004"])
        written = diamond()["orders"]
        always = {
            "pk", "run_id", "order_num", "trace_id", "flow_id", "order_name", "cmds", "queue_id", "s3_location", "callback_url",
            "execution_target", "dependencies", "must_succeed", "timeout", "status", "created_at", "dispatched_at", "ended_at",
            "last_update", "execution_url", "step_function_url", "sops_key_ssm_path", "ttl",
        }
        dependencies = [[], ["top"], ["top"], ["left", "right"]]
        for index, row in enumerate(rows):
            number = f"{index + 1:04}"
            of = f"row {number}"
            keys_are(of, row, always | ({"log_location"} if number == "0003" else set()))
            equal(f"{of}, stable part", {name: row.get(name) for name in (
                "pk", "run_id", "order_num", "trace_id", "flow_id", "order_name", "cmds", "queue_id", "s3_location",
                "callback_url", "execution_target", "dependencies", "must_succeed", "timeout", "status", "sops_key_ssm_path",
            )}, {
                "pk": f"{run_id}:{number}", "run_id": run_id, "order_num": number, "trace_id": trace_id,
                "flow_id": f"smoke:{trace_id}-diamond", "order_name": written[index]["order_name"], "cmds": written[index]["cmds"],
                "queue_id": written[index].get("queue_id", number),
                "s3_location": f"s3://exe-sys-internal/tmp/exec/{run_id}/{number}/exec.zip",
                "callback_url": f"tmp/callbacks/runs/{run_id}/{number}/result.json",
                "execution_target": "lambda", "dependencies": dependencies[index], "must_succeed": True, "timeout": 60,
                "status": "succeeded", "sops_key_ssm_path": f"/exe-sys/sops-keys/{run_id}",
            })
            times = [row[name] for name in ("created_at", "dispatched_at", "ended_at", "last_update")]
            check(f"{of}: times are epoch seconds with six decimals", all(TIME.match(at) for at in times), times)
            check(f"{of}: created, dispatched and ended in this order", times[:3] == sorted(times[:3]), times)
            check(f"{of}: ttl is a day after the deadline", abs(row["ttl"] - Decimal(row["created_at"]) - 600 - 86_400) <= 1, row["ttl"])
            equal(f"{of}: log_location", row.get("log_location"), f"logs/{run_id}/{number}.log" if number == "0003" else None)
        ends = {row["order_name"]: row["ended_at"] for row in rows}
        for row in rows:
            for dependency in row["dependencies"]:
                check(f"{row['order_name']} starts after {dependency} ended", row["dispatched_at"] >= ends[dependency],
                      (row["dispatched_at"], ends[dependency]))
        return rows

    def results(self, run_id):
        results = []
        for number in ("0001", "0002", "0003", "0004"):
            result = json.load(self.object(f"tmp/callbacks/runs/{run_id}/{number}/result.json"))
            of = f"result {number}"
            more = {"0003": {"log_location"}, "0004": {"events"}}.get(number, set())
            keys_are(of, result, {
                "status", "log", "schema_version", "exit_code", "started_at", "finished_at", "writer", "log_truncated",
            } | more)
            equal(f"{of}, stable part", [result.get(name) for name in ("status", "schema_version", "exit_code", "log_truncated")],
                  ["succeeded", 1, 0, number == "0003"])
            check(f"{of}: writer", re.match(r"^lambda:[0-9a-f-]{36}$", result["writer"]), result["writer"])
            claim = json.load(self.object(f"tmp/claims/{run_id}/{number}.json"))
            keys_are(f"claim {number}", claim, ["nonce", "by", "at"])
            equal(f"claim {number}: by", claim["by"], result["writer"])
            check(f"claim {number}: nonce", UUID.match(claim["nonce"]), claim["nonce"])
            check(f"{of}: times", claim["at"] <= result["started_at"] <= result["finished_at"], (claim["at"], result["started_at"]))
            results.append(result)
        top, left, right, bottom = results
        equal("log of top", top["log"], f"top of {run_id}\nsecond\n")
        equal("log of left, masked", left["log"], "secret: ***, parameter: ***\nit is there\n")
        whole = "".join(f"{line}\n" for line in range(1, LINES + 1))
        equal("whole log of right", self.object(f"logs/{run_id}/0003.log").read().decode(), whole)
        check("log of right keeps head and tail", right["log"].startswith("1\n2\n") and right["log"].endswith(f"{LINES}\n"))
        check("log of right is at most 256 KiB and one line", 200_000 < len(right["log"]) < 256 * 1024 + 100, len(right["log"]))
        names = set(bottom["log"].split())
        wanted = {"PATH", "HOME", "TMPDIR", "LANG", "CALLBACK_URL", "TRACE_ID", "RUN_ID", "ORDER_ID", "ORDER_NUM", "FLOW_ID",
                  "AWS_EXE_SYS_EVENTS_DIR"}
        # What /bin/sh adds by itself.
        keys_are("environment of commands", names - {"PWD", "SHLVL", "_", "OLDPWD"}, wanted)
        equal("events of bottom", [(event["event_type"], event["status"]) for event in bottom["events"]],
              [("deployed", "done"), ("malformed_event", "warning")])
        keys_are("event of a command", bottom["events"][0], ["event_type", "status", "epoch", "data"])
        return results

    def run_item(self, item, run_id, trace_id, rows):
        keys_are("run item", item, [
            "pk", "run_id", "trace_id", "flow_id", "status", "orders", "deadline", "plan_key", "submit_id", "digest_key", "job_digest", "answer",
            "schema_version", "ttl",
        ])
        equal("run item, stable part", {name: item[name] for name in (
            "pk", "run_id", "trace_id", "flow_id", "status", "orders", "plan_key", "schema_version")}, {
            "pk": f"lock:{run_id}", "run_id": run_id, "trace_id": trace_id, "flow_id": f"smoke:{trace_id}-diamond",
            "status": "completed", "orders": "4s", "plan_key": f"tmp/exec/{run_id}/plan.json", "schema_version": 1,
        })
        created = Decimal(rows[0]["created_at"])
        check("run item: deadline in epoch ms", abs(item["deadline"] - created * 1000 - 600_000) <= 1, item["deadline"])
        check("run item: ttl a week after it", abs(item["ttl"] - created - 600 - 7 * 86_400) <= 1, item["ttl"])
        check("run item: submit_id", UUID.match(item["submit_id"]), item["submit_id"])
        check("run item: job_digest is a SHA-256", re.fullmatch("[0-9a-f]{64}", item["job_digest"]), item["job_digest"])
        equal("run item: answer", json.loads(item["answer"])["run_id"], run_id)

    def event_rows(self, run_id, trace_id, rows, results):
        events = self.events.query(
            KeyConditionExpression="trace_id = :trace", ExpressionAttributeValues={":trace": trace_id},
        )["Items"]
        by_time = sorted(events, key=lambda event: (event["epoch"], event["order_name"]))
        for event in events:
            of = f"event {event['event_type']} of {event['order_name']}"
            more = {
                "job_completed": {"summary", "done_endpt"}, "job_started": set(), "dispatched": {"order_num", "execution_url"},
                "completed": {"order_num"},
            }.get(event["event_type"], {"order_num", "data"})
            keys_are(of, event, {
                "trace_id", "sk", "order_name", "epoch", "leg", "event_type", "status", "run_id", "flow_id", "ttl"} | more)
            equal(f"{of}: sk", event["sk"], f"{event['order_name']}:{event['epoch']}")
            equal(f"{of}: leg", event["leg"], f"{trace_id}:{event['epoch'].split('.')[0]}")
            equal(f"{of}: run and flow", (event["run_id"], event["flow_id"]), (run_id, f"smoke:{trace_id}-diamond"))
            check(f"{of}: epoch", TIME.match(event["epoch"]), event["epoch"])
            equal(f"{of}: ttl is 90 days later", event["ttl"], int(event["epoch"].split(".")[0]) + 7_776_000)
        told = [(event["order_name"], event["event_type"], event["status"]) for event in by_time]
        wanted = [("_job", "job_started", "running"), ("_job", "job_completed", "succeeded")]
        wanted += [(name, "dispatched", "running") for name in ("top", "left", "right", "bottom")]
        wanted += [(name, "completed", "succeeded") for name in ("top", "left", "right", "bottom")]
        wanted += [("bottom", "deployed", "done"), ("bottom", "malformed_event", "warning")]
        equal("events", sorted(told), sorted(wanted))
        equal("first event", told[0], ("_job", "job_started", "running"))
        equal("last event", told[-1], ("_job", "job_completed", "succeeded"))
        equal("job_completed: summary", by_time[-1].get("summary"), {"succeeded": 4, "failed": 0, "timed_out": 0})
        equal("job_completed: done_endpt", by_time[-1].get("done_endpt"), f"s3://exe-sys-done/{run_id}/done")
        deployed = next((event for event in events if event["event_type"] == "deployed"), {})
        equal("data of a command's event", deployed.get("data"), {"version": "1.2.3", "count": 4, "parts": {"a": [1, True, None]}})
        for row, result in zip(rows, results):
            of_order = {event["event_type"]: event for event in events if event["order_name"] == row["order_name"]}
            equal(f"{row['order_name']}: epoch of dispatched", of_order["dispatched"]["epoch"], row["dispatched_at"])
            equal(f"{row['order_name']}: epoch of completed", of_order["completed"]["epoch"], result["finished_at"])
            equal(f"{row['order_name']}: ended_at", row["ended_at"], result["finished_at"])
            equal(f"{row['order_name']}: number", of_order["completed"]["order_num"], row["order_num"])

    def objects(self, run_id):
        """The keys of the run, and no secret in any of them."""
        keys = []
        for prefix in ("tmp/", "logs/"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket="exe-sys-internal", Prefix=prefix)
            keys += [entry["Key"] for page in pages for entry in page.get("Contents", []) if f"/{run_id}/" in entry["Key"]]
        numbers = ("0001", "0002", "0003", "0004")
        keys_are("objects", keys, [
            f"tmp/exec/{run_id}/plan.json", f"logs/{run_id}/0003.log", f"tmp/callbacks/runs/{run_id}/0000/result.json",
            *(f"tmp/exec/{run_id}/{number}/exec.zip" for number in numbers),
            *(f"tmp/callbacks/runs/{run_id}/{number}/result.json" for number in numbers),
            *(f"tmp/claims/{run_id}/{number}.json" for number in numbers),
        ])
        equal("first message", json.load(self.object(f"tmp/callbacks/runs/{run_id}/0000/result.json")), {"status": "init", "log": ""})
        for key in keys:
            body = self.object(key).read()
            # The parameter stands in a command of the job itself, which bundle and rows hold in clear.
            check(f"no secret in {key}", SECRET.encode() not in body)
        for number in numbers:
            body = self.object(f"tmp/exec/{run_id}/{number}/exec.zip").read()
            with zipfile.ZipFile(io.BytesIO(body)) as bundle:
                keys_are(f"bundle {number}", bundle.namelist(),
                         ["cmds.json", "manifest.json", "secrets.enc.json", "env_vars.env", "secrets.src"])
                check(f"no secret in bundle {number}", all(SECRET.encode() not in bundle.read(name) for name in bundle.namelist()))
                check(f"bundle {number} is a SOPS file", "sops" in json.loads(bundle.read("secrets.enc.json")))

    def object(self, key):
        return self.s3.get_object(Bucket="exe-sys-internal", Key=key)["Body"]


if __name__ == "__main__":
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    sys.exit(main())
