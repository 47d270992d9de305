"""The tasks for Luigi: each is a `luigi.Task` whose target is the file that its shell writes. For `luigi --module`.

The parameter `tasks` is the file that compare.py writes.
"""

import functools
import json
import os
import subprocess
from typing import Any, Dict, List

import luigi


@functools.lru_cache(maxsize=1)
def read(path: str) -> Dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


class Light(luigi.Task):
    tasks = luigi.Parameter()
    number = luigi.IntParameter()

    def requires(self) -> List[luigi.Task]:
        if read(self.tasks)["chained"] and self.number > 0:
            return [Light(tasks=self.tasks, number=self.number - 1)]
        return []

    def output(self) -> luigi.LocalTarget:
        name = read(self.tasks)["tasks"][self.number]["name"]
        return luigi.LocalTarget(os.path.join(read(self.tasks)["marks"], name))

    def run(self) -> None:
        command = read(self.tasks)["tasks"][self.number]["command"]
        subprocess.run(["/bin/sh", "-c", command], check=True)


class All(luigi.WrapperTask):
    tasks = luigi.Parameter()

    def requires(self) -> List[luigi.Task]:
        work = read(self.tasks)
        count = len(work["tasks"])
        # Of a chain the last task is enough: it requires the others.
        numbers = [count - 1] if work["chained"] else range(count)
        return [Light(tasks=self.tasks, number=number) for number in numbers]
