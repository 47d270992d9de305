"""Tests of the pure parts of benches/engine: figures, a record, prices, jobs, and the page.

    python3 -m unittest discover -s tests/scripts -p '*_test.py'
"""

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches"))

from engine import figures, prices, record, report, shapes  # noqa: E402
from engine.calls import per_order  # noqa: E402
from engine.chain import per_order_ms  # noqa: E402
from engine.programs import collected  # noqa: E402
from engine.results import Check, Measure, NotMeasured, Table  # noqa: E402

RUN = "exe-sys-internal/tmp/callbacks/runs/r"


def line(seq: int, function: str, service: str, operation: str, **more: Any) -> str:
    """A line as the recorder writes it, a millisecond after the one before."""
    outcome = {"status": more.pop("status", 200)}
    if "units" in more:
        outcome["units"] = more.pop("units")
    fields = {"seq": seq, "at": f"{1_000 + seq / 1000:.6f}", "key": ""}
    return json.dumps(
        fields | {"function": function, "service": service, "operation": operation, "outcome": outcome} | more
    )


def calls(*lines: str) -> list[record.Call]:
    return [record.parse(text) for text in lines]


class Figures(unittest.TestCase):
    def test_what_grows_in_proportion_has_exponent_one(self) -> None:
        self.assertAlmostEqual(figures.exponent([(100, 700.0), (1_000, 7_000.0), (5_000, 35_000.0)]), 1.0)
        self.assertAlmostEqual(figures.exponent([(n, 3.0 * n**1.75) for n in (10, 100, 1_000)]), 1.75)

    def test_one_size_has_no_exponent(self) -> None:
        self.assertIsNone(figures.exponent([(100, 7.0)]))
        self.assertIsNone(figures.exponent([]))
        self.assertIsNone(figures.exponent([(100, 7.0), (1_000, 0.0)]))

    def test_a_constant_does_not_hide_growth(self) -> None:
        small, medium, large = (1_000_000 + 5 * n**1.3 for n in (10, 100, 1_000))
        self.assertAlmostEqual(figures.exponent_beyond_constant(small, medium, large), 1.3)
        self.assertIsNone(figures.exponent_beyond_constant(5, 5, 5))

    def test_one_more_costs_the_difference_quotient(self) -> None:
        self.assertEqual(figures.per_more((100, 1_500.0), (1_100, 9_500.0)), 8.0)

    def test_departure_is_from_the_middle(self) -> None:
        self.assertAlmostEqual(figures.departure([13.3, 14.7, 14.0]), 0.05)
        self.assertEqual(figures.departure([7.0]), 0.0)

    def test_medians_show_their_range(self) -> None:
        self.assertEqual(figures.median_and_range([3.0, 1.0, 1_000.5], 1), "3.0 (1.0–1,000.5)")


class Record(unittest.TestCase):
    def test_only_calls_of_functions_and_what_the_state_machine_asks_count(self) -> None:
        those = calls(
            line(1, "client", "s3", "GetObject"),
            line(2, "init_job", "s3", "PutObject"),
            line(3, "orchestrator", "lambda", "Deliver"),
            line(4, "orchestrator", "lambda", "Invoke"),
            line(5, "states", "lambda", "Invoke"),
            line(6, "watchdog_check", "s3", "HeadObject"),
            line(7, "watchdog_check", "s3", "HeadObject", status=404),
            line(8, "states", "s3", "HeadObject"),
        )
        counts = record.count(those)
        self.assertEqual(sum(counts.values()), 5)
        self.assertEqual(counts["watchdog_check", "s3", "HeadObject"], 2)
        self.assertEqual(counts["states", "s3", "HeadObject"], 1)
        self.assertEqual(per_order(those, 2), 2.5)
        self.assertEqual(per_order(those, 2, "orchestrator"), 0.5)

    def test_an_older_record_has_neither_units_nor_bytes(self) -> None:
        those = calls(line(1, "init_job", "dynamodb", "PutItem"), line(2, "init_job", "s3", "PutObject"))
        self.assertIsNone(record.units(those))
        self.assertIsNone(record.uploaded(those, "init_job"))

    def test_units_are_of_writes_and_of_reads(self) -> None:
        those = calls(
            line(1, "init_job", "dynamodb", "PutItem", units=2.0),
            # It failed, and what it took is not recorded.
            line(2, "orchestrator", "dynamodb", "UpdateItem", status=400),
            line(3, "orchestrator", "dynamodb", "BatchWriteItem", units=26.0),
            line(4, "watchdog_check", "dynamodb", "GetItem", units=0.5),
            line(5, "client", "dynamodb", "Query", units=9.0),
        )
        self.assertEqual(record.units(those), (28.0, 0.5))

    def test_bytes_are_those_that_the_function_brings(self) -> None:
        those = calls(
            line(1, "init_job", "s3", "PutObject", bytes=100),
            line(2, "init_job", "s3", "UploadPart", bytes=900),
            line(3, "init_job", "s3", "GetObject"),
            line(4, "init_job", "dynamodb", "PutItem", bytes=50),
            line(5, "worker", "s3", "PutObject", bytes=7),
        )
        self.assertEqual(record.uploaded(those, "init_job"), 1_000)

    def test_calls_from_a_result_to_the_next_start(self) -> None:
        def deliver(seq: int, order: str, starts: str) -> str:
            return line(seq, "orchestrator", "lambda", "Deliver", key=f"{RUN}/{order}/result.json", starts=starts)

        def call(seq: int, operation: str, parent: str) -> str:
            return line(seq, "orchestrator", "x", operation, parent=parent)

        those = calls(
            deliver(1, "0000", "kick-off"),
            call(2, "GetObject", "kick-off"),
            call(3, "Invoke", "kick-off"),
            deliver(4, "0001", "first"),
            deliver(5, "0002", "second"),
            call(6, "UpdateItem", "first"),
            # It leaves word, and starts nothing.
            call(7, "UpdateItem", "second"),
            call(8, "GetObject", "first"),
            call(9, "Invoke", "first"),
            call(10, "UpdateItem", "first"),
        )
        sequences = [[call.operation for call in sequence] for sequence in record.before_invoke(those)]
        self.assertEqual(sequences, [["UpdateItem", "GetObject"]])

    def test_calls_that_are_answered_at_once_are_one_step(self) -> None:
        times = ["1.000000", "1.000600", "1.000700", "1.000800", "1.001500"]
        lines = [line(seq, "orchestrator", "s3", "GetObject", at=at) for seq, at in enumerate(times)]
        self.assertEqual(record.steps(calls(*lines)), 3)
        self.assertEqual(record.steps([]), 0)

    def test_each_watchdog_has_to_see_a_result_or_to_look(self) -> None:
        executions = record.Executions()
        self.assertFalse(executions.have_looked)
        for call in calls(
            line(1, "init_job", "states", "StartExecution", starts="run"),
            line(2, "orchestrator", "states", "StartExecution", starts="order"),
            # There already, so it starts none.
            line(3, "orchestrator", "states", "StartExecution", starts="other", status=400),
            line(4, "states", "s3", "HeadObject", parent="run", status=404),
            line(5, "states", "lambda", "Invoke", parent="run"),
            line(6, "states", "lambda", "Invoke", parent="run"),
            line(7, "states", "s3", "HeadObject", parent="order", status=404),
        ):
            executions.see(call)
        self.assertFalse(executions.have_looked)
        for seen in (
            line(8, "states", "lambda", "Invoke", parent="order"),
            line(8, "states", "s3", "HeadObject", parent="order"),
        ):
            several = copy.deepcopy(executions)
            several.see(calls(seen)[0])
            self.assertTrue(several.have_looked)

    def test_what_is_seen_at_once_takes_two_steps_and_a_look_three_more(self) -> None:
        started = [line(1, "orchestrator", "states", "StartExecution", starts=str(number)) for number in range(4)]
        found = [line(2, "states", "s3", "HeadObject", parent=str(number)) for number in range(3)]
        missed = line(3, "states", "s3", "HeadObject", parent="3", status=404)
        looks = [line(4, "states", "lambda", "Invoke", parent="3")] * 2
        self.assertEqual(record.Executions(calls(*started, *found, missed, *looks)).transitions, 3 * 2 + 2 + 2 * 3)
        # One was cut short, and is taken to its end.
        self.assertEqual(record.Executions(calls(*started[:2], found[0])).transitions, 2 + 2 + 3)

    def test_an_older_binary_asks_nobody_before_it_looks(self) -> None:
        started = line(1, "orchestrator", "states", "StartExecution", starts="e")
        looks = [line(2, "states", "lambda", "Invoke", parent="e")] * 2
        self.assertEqual(record.Executions(calls(started)).transitions, 4)
        self.assertEqual(record.Executions(calls(started, *looks)).transitions, 7)

    def test_a_file_is_read_line_by_line(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "record"
            file.write_text(line(1, "worker", "s3", "GetObject") + "\n\n" + line(2, "worker", "s3", "PutObject") + "\n")
            self.assertEqual([call.operation for call in record.read(file)], ["GetObject", "PutObject"])

    def test_time_of_an_order_is_from_the_first_start_to_the_last_end(self) -> None:
        rows = [
            {"dispatched_at": "10.5", "ended_at": "10.6"},
            {"dispatched_at": "10.0", "ended_at": "10.4"},
        ]
        self.assertAlmostEqual(per_order_ms(rows), 300.0)


class Prices(unittest.TestCase):
    def test_a_run_costs_what_its_parts_cost(self) -> None:
        those = calls(
            line(1, "client", "execute-api", "POST /init"),
            line(2, "init_job", "dynamodb", "PutItem", units=4.0),
            line(3, "init_job", "s3", "PutObject"),
            line(4, "init_job", "s3", "DeleteObject"),
            line(5, "init_job", "states", "StartExecution", starts="e"),
            line(6, "orchestrator", "lambda", "Deliver"),
            line(7, "orchestrator", "s3", "ListObjectsV2"),
            line(8, "orchestrator", "s3", "GetObject"),
            line(9, "states", "lambda", "Invoke", parent="e"),
            line(10, "watchdog_check", "dynamodb", "GetItem", units=0.5),
            line(11, "client", "s3", "PutObject"),
            line(12, "states", "s3", "HeadObject", status=404, parent="e"),
        )
        bill = prices.parts(those)
        counts = {part.name: part.count for part in bill}
        self.assertEqual(
            counts,
            {
                "DynamoDB write units": 4.0,
                "DynamoDB read units": 0.5,
                "S3 PUT and LIST": 2,
                "S3 GET and HEAD": 2,
                "Lambda requests": 3,
                "Step Functions transitions": 5,
            },
        )
        # Of two orders: 2 × 0.625 + 0.25 × 0.125 + 5 + 0.40 + 1.5 × 0.20 + 2.5 × 25 dollars a million.
        self.assertAlmostEqual(prices.total_per_million(bill, 2), 1.25 + 0.03125 + 5 + 0.4 + 0.3 + 62.5)

    def test_what_is_not_recorded_has_no_price(self) -> None:
        bill = prices.parts(calls(line(1, "init_job", "dynamodb", "PutItem"), line(2, "worker", "s3", "GetObject")))
        self.assertIsNone(bill[0].per_million(1))
        self.assertAlmostEqual(prices.total_per_million(bill, 1), 0.4)


class Shapes(unittest.TestCase):
    def waits(self, job: shapes.Job) -> dict[str, list[str]]:
        return {order["order_name"]: order.get("dependencies", []) for order in job["orders"]}

    def test_a_fan_waits_for_nobody(self) -> None:
        self.assertEqual(self.waits(shapes.fan(2)), {"o0": [], "o1": []})

    def test_in_a_chain_each_waits_for_the_one_before(self) -> None:
        self.assertEqual(self.waits(shapes.chain(3)), {"o0": [], "o1": ["o0"], "o2": ["o1"]})

    def test_there_are_twenty_layers(self) -> None:
        waits = self.waits(shapes.layers(1_000))
        self.assertEqual(len(waits), 1_000)
        self.assertEqual(waits["o49"], [])
        self.assertEqual(waits["o50"], [f"o{number}" for number in range(50)])
        self.assertEqual(waits["o999"], [f"o{number}" for number in range(900, 950)])
        self.assertEqual(len({tuple(its) for its in waits.values()}), 20)


class Page(unittest.TestCase):
    def test_a_miss_says_by_how_much(self) -> None:
        self.assertEqual(Check("calls", 14.0, 14).verdict, "met")
        self.assertEqual(Check("calls", 15.4, 14).verdict, "**missed by 10.0 %**")
        self.assertEqual(Check("calls", 14.0001, 14).verdict, "**missed by 0.1 %**")
        self.assertEqual(Check("price", 3.0, None, "USD").verdict, "no aim")
        self.assertEqual(Check("instructions", 9_000, 8_000, digits=0).aim, "≤ 8,000")
        self.assertEqual(Check("calls", 7.25, 7.5).aim, "≤ 7.5")

    def test_where_nothing_is_allowed_anything_is_a_miss(self) -> None:
        self.assertTrue(Check("PUTs", 0, 0).is_met)
        self.assertFalse(Check("PUTs", 1, 0).is_met)
        self.assertIn("missed", Check("PUTs", 1, 0).verdict)

    def test_a_page_has_machine_summary_tables_and_what_is_missing(self) -> None:
        measure = Measure("P7", "Cold start", "From exec. " * 30)
        measure.checks.append(Check("memory", 22.0, 16, "MB", 1))
        measure.checks.append(Check("price", 1.0, None))
        measure.tables.append(Table("By role", ["role", "MB"], [["a|b", "22.0"]]))
        measure.unmeasured.append("instructions: `valgrind` is missing")
        page = report.render({"CPU": "one"}, [measure])
        for expected in (
            "| CPU | one |",
            "## Against the aims: 0 of 1 met",
            "| P7: memory | 22.0 MB | ≤ 16 MB | **missed by 37.5 %** |",
            "### By role",
            "| a\\|b | 22.0 |",
            "**Not measured**: instructions: `valgrind` is missing.",
        ):
            self.assertIn(expected, page)
        self.assertTrue(all(len(text) <= 120 for text in page.splitlines()))

    def test_measures_of_one_key_are_joined(self) -> None:
        first, other, second = Measure("P2", "Growth", "How"), Measure("P3", "Price", ""), Measure("P2", "", "")
        second.checks.append(Check("instructions", 1.0, 1.02))
        joined = report.merged([first, other, second])
        found = [(one.key, one.title, len(one.checks)) for one in joined]
        self.assertEqual(found, [("P2", "Growth", 1), ("P3", "Price", 0)])


class Programs(unittest.TestCase):
    def test_totals_of_a_callgrind_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "callgrind.out"
            file.write_text("events: Ir\nsummary: 1234\ntotals: 1234\n")
            self.assertEqual(collected(file), 1_234)
            file.write_text("events: Ir\n")
            with self.assertRaises(NotMeasured):
                collected(file)

    def start(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        # No cargo, so that nothing is built.
        environment = {"PATH": "/usr/bin:/bin", "CARGO": "no-such-cargo"} | variables
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        command = [str(ROOT / "scripts" / "bench.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def test_the_script_says_what_it_takes(self) -> None:
        done = self.start("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("usage: scripts/bench.sh", done.stdout)

    def test_without_cargo_it_says_the_way_out(self) -> None:
        done = self.start("--only", "P5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("install Rust", done.stderr)

    def test_an_unknown_measure_is_refused(self) -> None:
        done = self.start("--only", "P99", AWS_EXE="/bin/true")
        self.assertEqual(done.returncode, 2)
        self.assertIn("no measure is called `P99`", done.stderr)

    def test_a_measure_that_cannot_run_says_so(self) -> None:
        done = self.start("--quick", "--only", "P10", AWS_EXE="/bin/true", AWS_EXE_LEAN="/bin/true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("P10: bytes", done.stdout)
        # `true` is no engine.
        done = self.start("--quick", "--only", "P4", AWS_EXE="/bin/true")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("**Not measured**", done.stdout)


if __name__ == "__main__":
    unittest.main()
