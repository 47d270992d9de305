"""The tasks for Prefect: a flow with a task for each.

    python prefect_light.py TASKS AT_ONCE
"""

import json
import subprocess
import sys
from typing import Any, Dict

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.task_runners import ThreadPoolTaskRunner


# Nothing is to be found in a cache, so no key is computed for it.
@task(cache_policy=NO_CACHE)
def light(command: str) -> None:
    subprocess.run(["/bin/sh", "-c", command], check=True)


# A task that is called, not submitted, runs in the flow's own thread: what depends on it comes after it.
@flow
def chain(work: Dict[str, Any]) -> None:
    for one in work["tasks"]:
        light(one["command"])


@flow
def fan(work: Dict[str, Any]) -> None:
    for future in [light.submit(one["command"]) for one in work["tasks"]]:
        future.result()


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        work = json.load(file)
    if work["chained"]:
        chain(work)
    else:
        fan.with_options(task_runner=ThreadPoolTaskRunner(max_workers=int(sys.argv[2])))(work)


if __name__ == "__main__":
    main()
