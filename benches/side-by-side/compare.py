"""Runs the same light tasks through this engine and through what a user would otherwise pick on one machine.

    scripts/bench-side-by-side --rounds 5 --json side-by-side.json

That script installs the tools and calls this one. What is compared, how, and what it does not say: README.md.
"""

import argparse
import json
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, List, Optional

import elf
import load
import processes
import report
from report import Result
from tools import ONLY_ON_REQUEST, TOOLS, Machine, Tool, binary_problem
from work import ONE, Shape, Work

ROOT = Path(__file__).resolve().parents[2]
# The slowest of those that run by default needed half a minute for the fan on two busy cores.
LIMIT = 300
# What the tasks' paths may consist of: they stand in shells, makefiles and Snakefiles, and nobody has to quote.
PLAIN = re.compile(r"[A-Za-z0-9._/-]+")


def main() -> int:
    arguments = parse()
    if not sys.platform.startswith("linux"):
        return give_up("this runs on Linux alone: it reads /proc and adopts orphans")
    if "aws-exe" in arguments.only:
        missing = binary_problem(binary())
        if missing is not None:
            return give_up(f"aws-exe: {missing}; or compare the others by --only")
    if arguments.check:
        return 0
    processes.adopt_orphans()
    # So that what was started is ended and what was written is removed, as with Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    scratch = Path(tempfile.mkdtemp(prefix="side-by-side-")).resolve()
    try:
        if not PLAIN.fullmatch(str(scratch)):
            return give_up(f"`{scratch}` would need quoting: set TMPDIR to a folder with a plain name")
        machine = Machine(
            cores=len(os.sched_getaffinity(0)),
            aws_exe=binary(),
            environments=arguments.environments.resolve(),
            homes=scratch / "homes",
            temporary=scratch / "tmp",
        )
        machine.temporary.mkdir()
        return compare(arguments, machine, scratch)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def parse() -> argparse.Namespace:
    names = [tool.name for tool in TOOLS]
    default = [name for name in names if name not in ONLY_ON_REQUEST]
    parser = argparse.ArgumentParser(
        prog=os.environ.get("SIDE_BY_SIDE_PROGRAM"),
        description="Runs the same light tasks through aws-exe and other tools, in turns, and compares the times.",
        epilog="Variables and exit codes: scripts/bench-side-by-side --help.",
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=positive, default=5, metavar="N", help="runs of each tool (default 5)")
    parser.add_argument(
        "--only",
        type=lambda text: chosen(text, names),
        default=default,
        metavar="TOOL,…",
        help=f"these tools: {', '.join(names)} (default: all but {', '.join(ONLY_ON_REQUEST)})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all that was measured into this file")
    parser.add_argument(
        "--limit", type=positive, default=LIMIT, metavar="S", help=f"most seconds for one command (default {LIMIT})"
    )
    parser.add_argument("--check", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--environments", type=Path, default=Path("side-by-side-environments"), help=argparse.SUPPRESS
    )
    arguments = parser.parse_args()
    if arguments.json and not arguments.json.resolve().parent.is_dir():
        parser.error(f"--json: there is no folder `{arguments.json.resolve().parent}`")
    return arguments


def positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is no whole number above 0")
    return int(text)


def chosen(text: str, names: List[str]) -> List[str]:
    asked = text.split(",")
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise argparse.ArgumentTypeError(f"`{unknown[0]}` is no tool; there are {', '.join(names)}")
    return asked


def give_up(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return 2


def binary() -> Optional[Path]:
    named = os.environ.get("AWS_EXE")
    if named:
        return Path(named).resolve()
    built = ROOT / "target" / "release" / "aws-exe"
    return built if built.exists() else None


def compare(arguments: argparse.Namespace, machine: Machine, scratch: Path) -> int:
    tools = [tool for tool in TOOLS if tool.name in arguments.only]
    results = {tool.name: Result(tool.name, tool.configuration) for tool in tools}
    before = load.look()
    for tool in tools:
        start(arguments, machine, scratch, tool, results[tool.name])
    for number in range(arguments.rounds):
        # Another one begins each time, so that nobody always has the same neighbours' leftovers in the caches.
        turn = number % len(tools)
        for shape in report.SHAPES:
            for tool in tools[turn:] + tools[:turn]:
                result = results[tool.name]
                if result.problem(shape) is None:
                    measure(arguments, machine, scratch, tool, shape, result)
                    tell(f"round {number + 1}, {shape.name}, {tool.name}: {last(result, shape)}")
    about = circumstances(arguments, machine, before)
    print(report.as_markdown(about, list(results.values())), end="")
    if arguments.json:
        document = report.as_json(about, list(results.values()))
        arguments.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    ours = [results[name] for name in report.BASES if name in results]
    return 1 if any(result.problems for result in ours) else 0


def start(arguments: argparse.Namespace, machine: Machine, scratch: Path, tool: Tool, result: Result) -> None:
    """Sees whether a tool works, with a job of one task whose time does not count: after it all have their files in the
    machine's memory, and those that have a database have made it."""
    try:
        missing = tool.missing(machine)
        if missing is not None:
            result.problems["start"] = missing
        else:
            result.version = tool.version(machine)
            result.packages = tool.packages(machine)
            machine.home(tool).mkdir(parents=True)
            tool.at_home(machine.home(tool))
            measure(arguments, machine, scratch, tool, ONE, result)
            result.walls.clear()
    except (OSError, processes.CommandFailed) as error:
        result.problems["start"] = str(error)
    shown = next(iter(result.problems.values()), result.version)
    tell(f"{tool.name}: {shown.partition(chr(10))[0]}")


def measure(
    arguments: argparse.Namespace, machine: Machine, scratch: Path, tool: Tool, shape: Shape, result: Result
) -> None:
    """One run, in a folder of its own. A tool that failed, or did not run every task as it should, has a problem from
    here on and no time."""
    work = Work(shape, scratch / "run")
    shutil.rmtree(work.folder, ignore_errors=True)
    work.write()
    tool.prepare(machine, work)
    output = scratch / "output"
    ended = processes.run(
        tool.command(machine, work), work.folder, tool.environment(machine, work), output, arguments.limit
    )
    result.left += ended.left
    problem = None
    if ended.code is None:
        problem = f"was ended at its limit of {arguments.limit} s"
    elif ended.code != 0:
        problem = f"ended with {ended.code}"
    else:
        problem = work.problem()
    if problem is None:
        result.walls.setdefault(shape.name, []).append(ended.seconds)
    else:
        result.problems[shape.name] = "\n".join([problem, *processes.tail(output)])


def last(result: Result, shape: Shape) -> str:
    problem = result.problem(shape)
    return problem.partition("\n")[0] if problem else f"{result.walls[shape.name][-1]:.2f} s"


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def circumstances(arguments: argparse.Namespace, machine: Machine, before: load.Look) -> Dict[str, Any]:
    """Everything that a reader needs to judge the figures."""
    others = load.share_of_others(before, load.look())
    profile = profile_of(machine.aws_exe)
    warnings = []
    if profile is not None and not profile.startswith("release"):
        warnings.append("This is no release build of aws-exe: its times say nothing about a release.")
    if others > load.QUIET:
        warnings.append("The machine was busy with something else as well: repeat it on a quiet one.")
    return {
        "rounds": arguments.rounds,
        "limit_s": arguments.limit,
        "cores": machine.cores,
        "processor": processor(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "others_share": others,
        "aws_exe_profile": profile,
        "warnings": warnings,
    }


def profile_of(path: Optional[Path]) -> Optional[str]:
    """How a binary was built, as far as one can see: releases are stripped, debug builds are not."""
    if path is None or not path.exists():
        return None
    size = f"{path.stat().st_size / 1e6:.0f} MB"
    named = os.environ.get("AWS_EXE_PROFILE")
    if named:
        return f"{named} ({size})"
    if ".debug_line" in elf.sections(path):
        return f"debug, for it has debug information ({size})"
    return f"release, for it has no debug information ({size})"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
