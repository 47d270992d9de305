"""The tools: how each is told about the tasks and how it is called. What is chosen here and why: README.md."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from processes import read
from work import Work

DRIVERS = Path(__file__).resolve().parent / "drivers"
# No order and no server that starts should meet a limit of its own before the command meets the one of the comparison.
LONG = 3600


@dataclass(frozen=True)
class Machine:
    """Where things are on this machine, and how many tasks may run at once."""

    cores: int
    # The built binary, if there is one.
    aws_exe: Optional[Path]
    # A virtual environment for each tool from PyPI, by the tool's name.
    environments: Path
    # A home folder for each tool: what it keeps from one run to the next.
    homes: Path
    # A folder for temporary files.
    temporary: Path

    def home(self, tool: "Tool") -> Path:
        return self.homes / tool.name


class Tool:
    """One way to run the tasks."""

    name = ""
    # In short, for the report.
    configuration = ""

    def missing(self, _machine: Machine) -> Optional[str]:
        """What is not there and how to get it."""
        return None

    def version(self, machine: Machine) -> str:
        raise NotImplementedError

    def packages(self, _machine: Machine) -> List[str]:
        """Everything that was installed for it from PyPI."""
        return []

    def at_home(self, _home: Path) -> None:
        """Puts files into its home folder, once."""

    def prepare(self, _machine: Machine, _work: Work) -> None:
        """Writes what it reads, before its time is taken."""

    def command(self, machine: Machine, work: Work) -> List[str]:
        raise NotImplementedError

    def variables(self, _machine: Machine, _work: Work) -> Dict[str, str]:
        return {}

    def environment(self, machine: Machine, work: Work) -> Dict[str, str]:
        """The same few variables for everybody, so that settings of whoever compares do not matter."""
        common = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(machine.home(self)),
            "TMPDIR": str(machine.temporary),
            "LANG": "C.UTF-8",
            "DO_NOT_TRACK": "1",
        }
        return {**common, **self.variables(machine, work)}


class Floor(Tool):
    name = "floor"
    configuration = "`xargs -n 1 -P N /bin/sh -c`, which only starts shells: N is 1 in the chain, else CORES"

    def missing(self, _machine: Machine) -> Optional[str]:
        if shutil.which("xargs") is None or "GNU" not in first_line(["xargs", "--version"]):
            return "there is no GNU `xargs`: install the package `findutils` of the distribution"
        return None

    def version(self, machine: Machine) -> str:
        return first_line(["xargs", "--version"])

    def prepare(self, machine: Machine, work: Work) -> None:
        commands = "".join(work.command(name) + "\0" for name in work.shape.names)
        (work.folder / "commands").write_text(commands, encoding="utf-8")

    def command(self, machine: Machine, work: Work) -> List[str]:
        at_once = 1 if work.shape.chained else machine.cores
        return ["xargs", "-0", "-n", "1", "-P", str(at_once), "-a", "commands", "/bin/sh", "-c"]


class AwsExe(Tool):
    name = "aws-exe"
    configuration = "`aws-exe run JOB` with its embedded AWS and its default parallelism; orders for `lambda`"

    def missing(self, machine: Machine) -> Optional[str]:
        return binary_problem(machine.aws_exe)

    def version(self, machine: Machine) -> str:
        return first_line([str(machine.aws_exe), "--version"])

    def prepare(self, machine: Machine, work: Work) -> None:
        orders: List[Dict[str, object]] = []
        before: Optional[str] = None
        for name in work.shape.names:
            order: Dict[str, object] = {
                "order_name": name,
                "execution_target": "lambda",
                "timeout": 600,
                "cmds": [work.command(name)],
            }
            if before is not None:
                order["dependencies"] = [before]
            orders.append(order)
            before = name if work.shape.chained else None
        job = {"username": "side-by-side", "job_timeout": LONG, "orders": orders}
        (work.folder / "job.json").write_text(json.dumps(job), encoding="utf-8")

    def command(self, machine: Machine, work: Work) -> List[str]:
        return [str(machine.aws_exe), "run", "job.json"]


class Make(Tool):
    name = "make"
    configuration = "GNU make, `make -rs -jCORES`, a target a task"

    def missing(self, _machine: Machine) -> Optional[str]:
        if shutil.which("make") is None:
            return "`make` is missing: install the package `make` of the distribution"
        if not first_line(["make", "--version"]).startswith("GNU Make"):
            return "`make` is not GNU make: put GNU make before it in PATH"
        return None

    def version(self, machine: Machine) -> str:
        return first_line(["make", "--version"])

    def prepare(self, machine: Machine, work: Work) -> None:
        names = work.shape.names
        rules = [".PHONY: all", "all: " + " ".join(f"{work.marks}/{name}" for name in names)]
        for before, name in zip([None, *names], names):
            needs = f" {work.marks}/{before}" if work.shape.chained and before else ""
            rules.append(f"{work.marks}/{name}:{needs}\n\t{work.command(name)}")
        (work.folder / "Makefile").write_text("\n".join(rules) + "\n", encoding="utf-8")

    def command(self, machine: Machine, work: Work) -> List[str]:
        return ["make", "-rs", f"-j{machine.cores}"]


class FromPyPI(Tool):
    """Installed by scripts/bench-side-by-side into an environment of its own."""

    # The environment and the distribution; several tools may be one of them, called in another way.
    package = ""

    def program(self, machine: Machine, name: str) -> str:
        return str(machine.environments / self.package / "bin" / name)

    def missing(self, machine: Machine) -> Optional[str]:
        # Written last by whoever installed it.
        if (machine.environments / self.package / "installed").exists():
            return None
        log = machine.environments / f"{self.package}.log"
        if log.exists():
            return f"could not be installed; pip's last lines:\n{log.read_text(encoding='utf-8', errors='replace')}"
        return "was not installed: start scripts/bench-side-by-side, which does that"

    def packages(self, machine: Machine) -> List[str]:
        command = [self.program(machine, "python"), "-m", "pip", "--disable-pip-version-check", "freeze"]
        return read(command).split("\n")[:-1]

    def version(self, machine: Machine) -> str:
        code = f"import importlib.metadata as m; print(m.version('{self.package}'))"
        return f"{self.package} {first_line([self.program(machine, 'python'), '-c', code])}"


class Snakemake(FromPyPI):
    name = package = "snakemake"
    configuration = (
        "`snakemake --cores CORES --scheduler greedy --quiet all`; a rule for each task of the chain, one for the fan"
    )

    def prepare(self, machine: Machine, work: Work) -> None:
        # Its default is bash, which would be another process than everybody else's.
        parts = ['shell.executable("/bin/sh")']
        names = work.shape.names
        if work.shape.chained:
            parts.append(f'rule all:\n    input: "{work.marks}/{names[-1]}"')
            for before, name in zip([None, *names], names):
                needs = f'    input: "{work.marks}/{before}"\n' if before else ""
                parts.append(
                    f'rule {name}:\n{needs}    output: "{work.marks}/{name}"\n'
                    f"    shell: {json.dumps(work.command(name))}"
                )
        else:
            parts.append(f'rule all:\n    input: expand("{work.marks}/{{name}}", name={names})')
            parts.append(
                f'rule light:\n    output: "{work.marks}/{{name}}"\n'
                f"    shell: {json.dumps(work.command('{wildcards.name}'))}"
            )
        (work.folder / "Snakefile").write_text("\n\n".join(parts) + "\n", encoding="utf-8")

    def command(self, machine: Machine, work: Work) -> List[str]:
        snakemake = self.program(machine, "snakemake")
        return [snakemake, "--cores", str(machine.cores), "--scheduler", "greedy", "--quiet", "all"]


class Luigi(FromPyPI):
    name = package = "luigi"
    configuration = "`luigi --local-scheduler`, one worker (its default): tasks run one by one in its own process"

    def workers(self, _machine: Machine) -> int:
        return 1

    def command(self, machine: Machine, work: Work) -> List[str]:
        work_of = ["--module", "luigi_light", "All", "--tasks", str(work.tasks)]
        how = ["--local-scheduler", "--workers", str(self.workers(machine)), "--log-level", "WARNING"]
        return [self.program(machine, "luigi"), *work_of, *how]

    def variables(self, machine: Machine, work: Work) -> Dict[str, str]:
        return {"PYTHONPATH": str(DRIVERS)}


class LuigiWorkers(Luigi):
    name = "luigi-workers"
    configuration = "`luigi --local-scheduler --workers CORES`: it forks a process for each task"

    def workers(self, machine: Machine) -> int:
        return machine.cores


class Prefect(FromPyPI):
    name = package = "prefect"
    configuration = (
        "`python FLOW`, its ephemeral server with SQLite; tasks without a cache key; "
        "in the chain called, in the fan submitted to its thread pool of CORES"
    )

    def command(self, machine: Machine, work: Work) -> List[str]:
        driver = str(DRIVERS / "prefect_light.py")
        return [self.program(machine, "python"), driver, str(work.tasks), str(machine.cores)]

    def variables(self, machine: Machine, work: Work) -> Dict[str, str]:
        return {
            "PREFECT_HOME": str(machine.home(self) / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
            # 20 s by default, which is not always enough on a busy machine.
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
        }


class Dagster(FromPyPI):
    name = package = "dagster"
    configuration = "`dagster job execute`, in-process executor: ops run one by one in its own process; SQLite"

    def executor(self, _machine: Machine) -> str:
        return "in-process"

    def at_home(self, home: Path) -> None:
        (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n", encoding="utf-8")

    def command(self, machine: Machine, work: Work) -> List[str]:
        job = ["-f", str(DRIVERS / "dagster_light.py"), "-j", "light"]
        return [self.program(machine, "dagster"), "job", "execute", *job]

    def variables(self, machine: Machine, work: Work) -> Dict[str, str]:
        return {
            "DAGSTER_HOME": str(machine.home(self)),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            "SIDE_BY_SIDE_TASKS": str(work.tasks),
            "SIDE_BY_SIDE_EXECUTOR": self.executor(machine),
        }


class DagsterProcesses(Dagster):
    name = "dagster-processes"
    configuration = "`dagster job execute`, multiprocess executor of CORES, fork server: a process for each op; SQLite"

    def executor(self, machine: Machine) -> str:
        return str(machine.cores)


TOOLS: List[Tool] = [
    Floor(),
    AwsExe(),
    Make(),
    Snakemake(),
    Luigi(),
    LuigiWorkers(),
    Prefect(),
    Dagster(),
    DagsterProcesses(),
]
# Seconds a task: it has to be asked for by name.
ONLY_ON_REQUEST = ["dagster-processes"]


def binary_problem(path: Optional[Path]) -> Optional[str]:
    if path is None:
        return "there is no binary: run `cargo build --release`, or name one in the variable AWS_EXE"
    if not path.is_file() or not os.access(path, os.X_OK):
        return f"`{path}` is no program: name a built binary in the variable AWS_EXE"
    return None


def first_line(command: List[str]) -> str:
    return read(command).partition("\n")[0].strip()
