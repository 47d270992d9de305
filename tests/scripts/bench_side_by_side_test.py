"""Tests of benches/side-by-side: its figures, what it makes of tasks that did not run as they should, its tables, and a
whole comparison with stand-ins for tools.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'

Nothing is installed, and nothing is compared.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benches" / "side-by-side"
sys.path.insert(0, str(FOLDER))

import elf  # noqa: E402
import figures  # noqa: E402
import load  # noqa: E402
import report  # noqa: E402
import work  # noqa: E402
from work import Shape, Work  # noqa: E402

CHAIN = Shape("chain", 3, chained=True)
FAN = Shape("fan", 3, chained=False)
# A stand-in for aws-exe: makes shells of the job, in the job's order.
ENGINE = """\
#!/usr/bin/env python3
import json, subprocess, sys
if sys.argv[1:] == ["--version"]:
    print("aws-exe stand-in")
    sys.exit()
for order in json.load(open(sys.argv[2]))["orders"]:
    for command in order["cmds"]:
        subprocess.run(["/bin/sh", "-c", command], check=True)
"""


def temporary(test: unittest.TestCase) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="side-by-side-test-"))
    test.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Figures(unittest.TestCase):
    def test_a_summary_is_median_and_range(self) -> None:
        self.assertEqual(figures.summary([3.0, 1.0, 2.0]), figures.Summary(2.0, 1.0, 3.0))
        self.assertEqual(figures.summary([4.0, 1.0]), figures.Summary(2.5, 1.0, 4.0))
        self.assertEqual(figures.summary([7.0]), figures.Summary(7.0, 7.0, 7.0))

    def test_each_further_task_costs_what_is_beyond_the_first(self) -> None:
        self.assertEqual(figures.per_task([5.0, 9.0], [1.0, 1.0], 5), [1.0, 2.0])

    def test_noise_may_make_a_task_cost_less_than_nothing(self) -> None:
        self.assertEqual(figures.per_task([1.0], [2.0], 2), [-1.0])

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self) -> None:
        # 2, 3 and 10; the ratio of the medians would be 20 / 10.
        self.assertEqual(figures.ratio([20.0, 3.0, 100.0], [10.0, 1.0, 10.0]), 3.0)

    def test_there_is_no_ratio_of_what_is_lost_in_noise(self) -> None:
        self.assertIsNone(figures.ratio([1.0, 1.0], [1.0, -0.1]))
        self.assertIsNone(figures.ratio([1.0, 1.0], [1.0, 0.0]))
        self.assertIsNone(figures.ratio([1.0, -1.0], [1.0, 1.0]))

    def test_rounds_that_do_not_belong_together_are_refused(self) -> None:
        with self.assertRaises(ValueError):
            figures.ratio([1.0, 2.0], [1.0])
        with self.assertRaises(ValueError):
            figures.per_task([1.0], [1.0, 2.0], 2)


class Tasks(unittest.TestCase):
    def made(self, shape: Shape) -> Work:
        tasks = Work(shape, temporary(self) / "run")
        tasks.write()
        return tasks

    def run_tasks(self, tasks: Work, names: List[str]) -> None:
        for name in names:
            subprocess.run(["/bin/sh", "-c", tasks.command(name)], check=True)

    def test_the_shapes_are_those_that_the_readme_names(self) -> None:
        self.assertEqual((work.CHAIN.count, work.FAN.count), (40, 200))

    def test_names_are_in_the_order_of_their_numbers(self) -> None:
        self.assertEqual(CHAIN.names, ["t001", "t002", "t003"])
        self.assertEqual(work.FAN.names, sorted(work.FAN.names))

    def test_tasks_that_ran_as_they_should_are_fine(self) -> None:
        for shape, names in ((CHAIN, ["t001", "t002", "t003"]), (FAN, ["t003", "t001", "t002"])):
            with self.subTest(shape.name):
                tasks = self.made(shape)
                self.run_tasks(tasks, names)
                self.assertIsNone(tasks.problem())

    def test_drivers_get_the_same_commands(self) -> None:
        tasks = self.made(CHAIN)
        document = json.loads(tasks.tasks.read_text(encoding="utf-8"))
        self.assertEqual(document["chained"], True)
        self.assertEqual([one["command"] for one in document["tasks"]], [tasks.command(name) for name in CHAIN.names])

    def test_nothing_ran(self) -> None:
        self.assertEqual(self.made(FAN).problem(), "`t001`, `t002`, `t003` of 3 did not run")

    def test_the_folder_is_gone(self) -> None:
        tasks = self.made(FAN)
        shutil.rmtree(tasks.folder)
        self.assertIn("did not run", str(tasks.problem()))

    def test_one_did_not_run(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, ["t001", "t003"])
        self.assertEqual(tasks.problem(), "`t002` of 3 did not run")

    def test_one_ran_twice(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, ["t001", "t002", "t002", "t003"])
        self.assertEqual(tasks.problem(), "`t002` ran more than once")

    def test_one_ran_twice_and_its_file_was_removed_in_between(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, ["t001", "t002"])
        (tasks.marks / "t002").unlink()
        self.run_tasks(tasks, ["t002", "t003"])
        self.assertEqual(tasks.problem(), "`t002`: not exactly once in the shared file")

    def test_a_file_was_only_touched(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, ["t001", "t002"])
        (tasks.marks / "t003").touch()
        self.assertEqual(tasks.problem(), "`t003` of 3 did not run")

    def test_a_file_holds_something_else(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, FAN.names)
        (tasks.marks / "t003").write_text("t001\n", encoding="utf-8")
        self.assertIn("`t003`: the file holds something else", str(tasks.problem()))

    def test_a_line_that_was_cut_off_does_not_count(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, FAN.names)
        (tasks.marks / "t003").write_text("t003", encoding="utf-8")
        self.assertEqual(tasks.problem(), "`t003` of 3 did not run")

    def test_a_task_that_nobody_asked_for(self) -> None:
        tasks = self.made(FAN)
        self.run_tasks(tasks, [*FAN.names, "t004"])
        self.assertIn("`t004`", str(tasks.problem()))

    def test_a_chain_out_of_order(self) -> None:
        tasks = self.made(CHAIN)
        self.run_tasks(tasks, ["t001", "t003", "t002"])
        self.assertEqual(tasks.problem(), "the chain was not run in its order: `t003` came too early")

    def test_many_are_named_shortly(self) -> None:
        self.assertEqual(work.some(["a", "b", "c", "d", "e"]), "`a`, `b`, `c` and 2 more")


def measured(name: str, one: List[float], chain: List[float], fan: List[float]) -> report.Result:
    return report.Result(name, f"how {name} is called", "1.0", [], {"one": one, "chain": chain, "fan": fan})


ABOUT: Dict[str, Any] = {
    "rounds": 2,
    "cores": 2,
    "processor": "a processor",
    "system": "Linux",
    "python": "3.10.0",
    "others_share": 0.02,
    "aws_exe_profile": "release",
    "warnings": [],
}


class Report(unittest.TestCase):
    def results(self) -> List[report.Result]:
        return [
            measured("floor", [0.01, 0.01], [0.4, 0.4], [2.0, 2.0]),
            measured("aws-exe", [1.0, 1.0], [4.9, 4.9], [20.9, 20.9]),
            measured("quick", [0.5, 0.5], [0.89, 0.89], [2.49, 2.49]),
        ]

    def test_a_table_is_aligned_and_safe(self) -> None:
        self.assertEqual(
            report.table(["a", "b"], [["x|y", "1"]]),
            "| a | b |\n| --- | ---: |\n| x\\|y | 1 |",
        )

    def test_the_fastest_comes_first_whoever_it_is(self) -> None:
        rows = report.shape_table(self.results(), work.CHAIN).splitlines()[4:]
        self.assertEqual([row.split(" | ")[0].strip("| ") for row in rows], ["floor", "quick", "aws-exe"])

    def test_figures_of_a_row(self) -> None:
        table = report.shape_table(self.results(), work.CHAIN)
        self.assertIn("## 40 light tasks in a chain", table)
        self.assertIn("| quick | 0.890 (0.890 to 0.890) | 2.2 | 0.18 | 10.0 (10.0 to 10.0) | 1.0 | 0.10 |", table)

    def test_the_job_of_one_task_has_no_further_tasks(self) -> None:
        table = report.shape_table(self.results(), work.ONE)
        self.assertNotIn("further", table)
        self.assertIn("| quick | 0.500 (0.500 to 0.500) | 50 | 0.50 |", table)

    def test_what_failed_in_one_shape_has_no_figure_there(self) -> None:
        results = self.results()
        results[2].problems["fan"] = "`t002` ran more than once\nlast line"
        page = report.as_markdown(ABOUT, results)
        self.assertIn("| quick | failed |  |  |  |  |  |", page)
        self.assertIn("**quick**, 200 light tasks in a fan: `t002` ran more than once\n\n    last line", page)
        self.assertIn("| quick | 0.890 (0.890 to 0.890) |", page)

    def test_what_could_not_start_has_no_figure_at_all(self) -> None:
        for where in ("start", "one"):
            with self.subTest(where):
                results = self.results()
                results[2].problems[where] = "no"
                page = report.as_markdown(ABOUT, results)
                self.assertEqual(page.count("| quick | failed |"), 3)

    def test_without_the_floor_there_is_no_ratio_to_it(self) -> None:
        table = report.shape_table(self.results()[1:], work.CHAIN)
        self.assertIn("| quick | 0.890 (0.890 to 0.890) | – | 0.18 | 10.0 (10.0 to 10.0) | – | 0.10 |", table)

    def test_nobody_is_compared_with_an_engine_that_failed(self) -> None:
        results = self.results()
        results[1].problems["chain"] = "no"
        self.assertIn("| quick | 0.890 (0.890 to 0.890) | 2.2 | – |", report.shape_table(results, work.CHAIN))
        self.assertIn("| quick | 2.490 (2.490 to 2.490) | 1.2 | 0.12 |", report.shape_table(results, work.FAN))

    def test_what_is_not_as_it_should_be_is_only_there_when_there_is_something(self) -> None:
        results = self.results()
        self.assertNotIn("## Failed", report.as_markdown(ABOUT, results))
        results[0].left = 1
        self.assertIn("**floor**: 1 process had to be killed", report.as_markdown(ABOUT, results))

    def test_warnings_are_shown(self) -> None:
        self.assertIn("**Busy.**", report.as_markdown({**ABOUT, "warnings": ["Busy."]}, self.results()))

    def test_ratios_have_two_digits_that_count(self) -> None:
        shown = [report.times(value) for value in (None, 0.123, 0.949, 0.96, 1.0, 9.94, 9.96, 123.4)]
        self.assertEqual(shown, ["–", "0.12", "0.95", "1.0", "1.0", "9.9", "10", "123"])

    def test_json_has_every_round(self) -> None:
        results = self.results()
        results[2].problems["fan"] = "no"
        document = json.loads(json.dumps(report.as_json(ABOUT, results)))
        quick = document["tools"]["quick"]
        self.assertEqual(quick["rounds_s"]["fan"], [2.49, 2.49])
        self.assertIsNone(quick["fan"])
        self.assertAlmostEqual(quick["chain"]["per_task_ratio_to"]["aws-exe"], 0.1)
        self.assertEqual(quick["chain"]["wall_s"], {"median": 0.89, "low": 0.89, "high": 0.89})
        self.assertEqual(document["shapes"]["fan"]["count"], 200)


class Circumstances(unittest.TestCase):
    def test_seconds_of_proc_stat(self) -> None:
        stat = "cpu  100 0 50 800 50 0 0 0 70 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
        self.assertEqual(load.totals(stat, 100), (10.0, 1.5))

    def test_others_have_what_was_used_and_is_not_ours(self) -> None:
        before = load.Look(total=100.0, busy=50.0, own=10.0)
        self.assertEqual(load.share_of_others(before, load.Look(120.0, 60.0, 15.0)), 0.25)
        self.assertEqual(load.share_of_others(before, load.Look(120.0, 60.0, 21.0)), 0.0)
        self.assertEqual(load.share_of_others(before, before), 0.0)

    def test_sections_of_a_program(self) -> None:
        self.assertIn(".text", elf.sections(Path(sys.executable).resolve()))

    def test_a_script_has_no_sections(self) -> None:
        self.assertEqual(elf.sections(Path(__file__)), [])


class Whole(unittest.TestCase):
    """compare.py with stand-ins. `make` and `xargs` are the machine's own."""

    def compare(self, *arguments: str, engine: str = ENGINE) -> "subprocess.CompletedProcess[str]":
        self.folder = temporary(self)
        program = self.folder / "aws-exe"
        program.write_text(engine, encoding="utf-8")
        program.chmod(0o755)
        environments = self.folder / "environments"
        environments.mkdir()
        (environments / "luigi.log").write_text("No matching distribution found\n", encoding="utf-8")
        (self.folder / "tmp").mkdir()
        command = [sys.executable, str(FOLDER / "compare.py"), "--environments", str(environments), *arguments]
        variables = {**os.environ, "AWS_EXE": str(program), "TMPDIR": str(self.folder / "tmp")}
        return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)

    def document(self) -> Dict[str, Any]:
        return json.loads((self.folder / "out.json").read_text(encoding="utf-8"))

    def compare_to_json(self, *arguments: str, engine: str = ENGINE) -> "subprocess.CompletedProcess[str]":
        out = tempfile.NamedTemporaryFile(suffix=".json")
        self.addCleanup(out.close)
        done = self.compare("--json", out.name, *arguments, engine=engine)
        shutil.copy(out.name, self.folder / "out.json")
        return done

    def test_a_comparison(self) -> None:
        done = self.compare_to_json("--rounds", "2", "--only", "floor,aws-exe,make,luigi")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("**luigi**: could not be installed; pip's last lines:\n\n    No matching", done.stdout)
        tools = self.document()["tools"]
        self.assertEqual(list(tools), ["floor", "aws-exe", "make", "luigi"])
        for name in ("floor", "aws-exe", "make"):
            self.assertEqual(tools[name]["problems"], {}, name)
            rounds = {shape: len(walls) for shape, walls in tools[name]["rounds_s"].items()}
            self.assertEqual(rounds, {"one": 2, "chain": 2, "fan": 2}, name)
        self.assertEqual(list((self.folder / "tmp").iterdir()), [])

    def test_rounds_are_interleaved_and_another_begins_each(self) -> None:
        done = self.compare("--rounds", "2", "--only", "floor,make")
        told = [line.partition(":")[0] for line in done.stderr.splitlines() if ", chain, " in line]
        turns = ["1, chain, floor", "1, chain, make", "2, chain, make", "2, chain, floor"]
        self.assertEqual(told, [f"round {turn}" for turn in turns])

    def test_an_engine_that_does_nothing_quickly_is_not_fast(self) -> None:
        done = self.compare_to_json("--rounds", "1", "--only", "aws-exe,make", engine="#!/bin/sh\necho done\n")
        self.assertEqual(done.returncode, 1, done.stderr)
        engine = self.document()["tools"]["aws-exe"]
        self.assertEqual(engine["problems"]["one"], "`t001` of 1 did not run\ndone")
        self.assertIsNone(engine["fan"])
        self.assertIsNotNone(self.document()["tools"]["make"]["fan"])

    def test_an_engine_that_hangs_is_ended_with_what_it_started(self) -> None:
        # The stand-in's child is in a session of its own: only who adopts orphans finds it.
        hanging = '#!/bin/sh\n[ "$1" = run ] || exit 0\nsetsid sleep 1000 &\necho $! > "$TMPDIR/../../../child"\nwait\n'
        done = self.compare("--limit", "1", "--only", "aws-exe", engine=hanging)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("was ended at its limit of 1 s", done.stdout)
        self.assertIn("1 process had to be killed", done.stdout)
        child = (self.folder / "child").read_text(encoding="utf-8").strip()
        self.assertFalse(Path("/proc", child).exists())

    def test_what_cannot_begin_says_the_way_out(self) -> None:
        for arguments, text in (
            (["--only", "nix"], "`nix` is no tool"),
            (["--rounds", "0"], "`0` is no whole number above 0"),
            (["--json", "/nowhere/out.json"], "there is no folder `/nowhere`"),
        ):
            with self.subTest(text):
                done = self.compare(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn(text, done.stderr)

    def test_a_missing_binary_says_how_to_get_one(self) -> None:
        variables = {**os.environ, "AWS_EXE": "/nowhere/aws-exe"}
        command = [sys.executable, str(FOLDER / "compare.py"), "--check"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("name a built binary in the variable AWS_EXE", done.stderr)


if __name__ == "__main__":
    unittest.main()
