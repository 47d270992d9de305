"""The tasks for Dagster: a job `light` with an op for each. For `dagster job execute`.

`SIDE_BY_SIDE_TASKS` is the file that compare.py writes, `SIDE_BY_SIDE_EXECUTOR` is `in-process` or a number of
processes.
"""

import json
import os
import subprocess
from typing import Any, Dict, Optional

import dagster

with open(os.environ["SIDE_BY_SIDE_TASKS"], encoding="utf-8") as file:
    WORK: Dict[str, Any] = json.load(file)
EXECUTOR = os.environ["SIDE_BY_SIDE_EXECUTOR"]


def light(one: Dict[str, str], after: bool) -> dagster.OpDefinition:
    # `Nothing` is Dagster's type for order without data: nothing is stored or loaded between the ops.
    @dagster.op(
        name=one["name"],
        ins={"after": dagster.In(dagster.Nothing)} if after else {},
        out={"done": dagster.Out(dagster.Nothing)},
    )
    def run() -> None:
        subprocess.run(["/bin/sh", "-c", one["command"]], check=True)

    return run


def executor() -> dagster.ExecutorDefinition:
    if EXECUTOR == "in-process":
        return dagster.in_process_executor
    # A process that has loaded the job already is forked for each op; the other way starts Python anew each time.
    settings = {"max_concurrent": int(EXECUTOR), "start_method": {"forkserver": {}}}
    return dagster.multiprocess_executor.configured(settings)


def graph() -> dagster.GraphDefinition:
    nodes = []
    dependencies: Dict[str, Dict[str, dagster.DependencyDefinition]] = {}
    before: Optional[str] = None
    for one in WORK["tasks"]:
        nodes.append(light(one, before is not None))
        dependencies[one["name"]] = {"after": dagster.DependencyDefinition(before, "done")} if before else {}
        if WORK["chained"]:
            before = one["name"]
    return dagster.GraphDefinition(name="light", node_defs=nodes, dependencies=dependencies)


# Its console shows several lines a task otherwise.
quiet = {"loggers": {"console": {"config": {"log_level": "WARNING"}}}}
light_job = graph().to_job(name="light", executor_def=executor(), config=quiet)
