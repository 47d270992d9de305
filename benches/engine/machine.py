"""On what and of what it was measured."""

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.1f} GiB"


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def describe(root: Path, profile: str) -> dict[str, str]:
    """What stands at the top of the report."""
    commit = _git(root, "rev-parse", "--short=12", "HEAD") or "unknown"
    # The report itself is no change of what is measured.
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/BENCHMARKS.md")
    return {
        "CPU": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": _memory(),
        "kernel": f"{platform.system()} {platform.release()}",
        "commit": commit + (", with changes" if changed else ""),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "profile": profile,
        "load before it began": f"{os.getloadavg()[0]:.2f}",
    }
