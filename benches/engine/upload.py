"""P8: what is uploaded for many orders over one repository."""

import os
import random
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

from engine import record
from engine.context import Context
from engine.figures import megabytes, median_and_range, number
from engine.programs import run, written
from engine.results import Check, Measure, Table
from engine.shapes import NOTHING_STARTS, fan

MOST = 1.05
FILES = 50


def make_repository(folder: Path, size: int) -> None:
    """A repository of one commit whose files nothing makes smaller."""
    folder.mkdir()
    draw = random.Random(8)
    for number_ in range(FILES):
        (folder / f"data-{number_:02}").write_bytes(draw.randbytes(size // FILES))
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "--message", "Data"]):
        # Whatever the settings are of whoever measures.
        alone = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, env=alone)


def packed(repository: Path, file: Path) -> tuple[int, float]:
    """Bytes of one packed copy, by git itself, and how long that took."""
    ended = run(["git", "-C", str(repository), "archive", "--format=zip", f"--output={file}", "HEAD"])
    return file.stat().st_size, ended.wall


def measure(context: Context) -> Measure:
    sizes = context.sizes
    result = Measure(
        "P8",
        f"{sizes.repository_orders:,} orders over one repository of {megabytes(sizes.repository_bytes):g} MB",
        "Random bytes, one commit. What `init_job` puts into S3, against one copy packed by `git archive --format=zip`"
        "; then the same once more under the same run id. Nothing of the run is started.",
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = folder / "repository"
        make_repository(repository, sizes.repository_bytes)
        copy, _ = packed(repository, folder / "copy.zip")
        job = str(written(folder / "job.json", fan(sizes.repository_orders) | {"git_repo": str(repository)}))
        file = folder / "record.jsonl"
        run_id = str(uuid.uuid4())
        ratios = []
        with context.exe.local(folder, file, NOTHING_STARTS) as local:
            local.verb("submit", "--run-id", run_id, job)
            first = record.read(file)
            local.verb("submit", "--run-id", run_id, job)
            both = record.read(file)
            for _ in range(sizes.rounds):
                started = time.monotonic()
                local.verb("submit", job)
                took = time.monotonic() - started
                ratios.append(took / packed(repository, folder / "copy.zip")[1])
    again = both[len(first) :]
    puts = len(record.puts_of(again, "init_job"))
    sent = record.uploaded(first, "init_job")
    if sent is None:
        result.unmeasured.append("bytes: this binary does not record them, a newer one does")
    else:
        result.checks.append(Check("bytes uploaded ÷ bytes of one packed copy", sent / copy, MOST, "times", 3))
    result.checks.append(Check("S3 PUTs of the second submission under the same run id", puts, 0, digits=0))
    calls = record.puts_of(first, "init_job")
    rows = [
        ["one packed copy, MB", number(megabytes(copy))],
        ["uploaded, MB", "not measured" if sent is None else number(megabytes(sent))],
        ["S3 PUTs of the first submission", f"{len(calls):,}"],
        ["wall of a submission ÷ that of `git archive`, median and range", median_and_range(ratios)],
    ]
    result.tables.append(Table("", ["", ""], rows))
    return result
