"""What a build does before the worker starts (infra/02-deploy/buildspec.yml), with a folder and a user that stand in for
CodeBuild's. That the whole of it runs: crates/cli/tests/it/targets.rs.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'
"""

import os
import re
import stat
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Optional

BUILDSPEC = Path(__file__).resolve().parents[2] / "infra" / "02-deploy" / "buildspec.yml"
FOLDER = "/codebuild/output/tmp"


class BeforeTheWorker(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="buildspec-test-")
        self.addCleanup(scratch.cleanup)
        self.world = Path(scratch.name)
        (self.world / "bin").mkdir()
        text = BUILDSPEC.read_text(encoding="utf-8")
        *self.before, self.last = re.findall(r"^      - (.+)$", text, re.MULTILINE)

    def stand_in(self, name: str, does: str) -> None:
        path = self.world / "bin" / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def ends(self, mode: Optional[int], user: int) -> int:
        """Runs it in a world in which the folder has this mode, or is not there; gives how it ended."""
        folder = self.world / "output"
        if folder.exists():
            folder.rmdir()
        if mode is not None:
            folder.mkdir()
            folder.chmod(mode)
        self.stand_in("id", f"echo {user}")
        script = "\n".join(f"{command}\n(exit $?) || exit $?" for command in self.before).replace(FOLDER, str(folder))
        environment = {"PATH": f"{self.world / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin"}
        # 60 s: whatever takes longer than a moment hangs.
        done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode

    def mode(self) -> int:
        return stat.S_IMODE((self.world / "output").stat().st_mode)

    def test_others_are_kept_from_the_environment_of_the_build(self) -> None:
        for mode in (0o755, 0o777, 0o1777, 0o711, 0o700, 0o750):
            with self.subTest(mode=oct(mode)):
                self.assertEqual(self.ends(mode, user=0), 0)
                self.assertEqual(self.mode() & 0o777, 0o700)
        self.assertEqual(self.last, "aws-exe worker")

    def test_without_the_folder_or_root_nothing_is_done(self) -> None:
        self.assertEqual(self.ends(None, user=0), 0)
        self.assertEqual(self.ends(0o755, user=1000), 0)
        self.assertEqual(self.mode(), 0o755)

    def test_a_folder_that_cannot_be_closed_ends_the_build(self) -> None:
        self.stand_in("chmod", "exit 1")
        self.assertEqual(self.ends(0o755, user=0), 1)


if __name__ == "__main__":
    unittest.main()
