"""The arithmetic of the benchmark: figures that decide something must be right."""

import unittest

import instructions
import targets
from measure import Run
from regions import Regions
from results import Results
from workloads import THREAD_WORKLOADS, WORKLOADS


def runs(workload, tracer, walls, rss=1000, output=""):
    return [Run(workload, tracer, wall, wall, rss, output) for wall in walls]


class InstructionsTest(unittest.TestCase):
    def test_a_figure_may_rise_by_three_percent_and_no_more(self):
        self.assertFalse(instructions.table({"a": 100.0}, {"a": 102.9})[1])
        lines, failed = instructions.table({"a": 100.0, "b": 50.0}, {"a": 103.2, "b": 50.0})
        self.assertTrue(failed)
        self.assertIn("RISEN by 3.2%", lines[1])
        self.assertNotIn("RISEN", lines[2])

    def test_a_stage_that_comes_or_goes_fails(self):
        self.assertTrue(instructions.table({"a": 1.0}, {})[1])
        self.assertTrue(instructions.table({}, {"a": 1.0})[1])

    def test_a_fall_is_told(self):
        lines, failed = instructions.table({"a": 100.0}, {"a": 90.0})
        self.assertFalse(failed)
        self.assertIn("fallen by 10.0%", lines[1])

    def test_lost_events_are_no_figure(self):
        self.assertEqual(instructions.per_event("stage a 4 10\nlost 0\n"), {"a": 2.5})
        for output in ("stage a 4 10\nlost 1\n", "stage a 4 10\n", "lost 0\n"):
            self.assertRaises(instructions.Broken, instructions.per_event, output)

    def test_the_held_figures_can_be_read(self):
        compiler, held = instructions.read_held()
        self.assertRegex(compiler, r"^\w+ [\d.]+, \w+$")
        self.assertGreater(min(held.values()), 0)


class ResultsTest(unittest.TestCase):
    def test_ratios_are_of_medians_and_means_geometric(self):
        workloads = [w for w in WORKLOADS if w.name in ("objs", "jsonw")]
        all_runs = runs("objs", "bare", [1, 2, 9]) + runs("objs", "memtrace", [4, 4, 1])
        all_runs += runs("jsonw", "bare", [1]) + runs("jsonw", "memtrace", [8])
        results = Results(all_runs, workloads, 2)
        self.assertEqual(results.ratio("objs", "memtrace", "wall"), 2)
        self.assertAlmostEqual(results.mean("memtrace", "wall"), 4)
        self.assertIsNone(results.mean("tracemalloc", "wall"))

    def test_scaling_is_of_the_cores_there_are(self):
        all_runs = runs("threads-1", "memtrace", [1], output="100 pairs/s\n")
        all_runs += runs("threads-4", "memtrace", [1], output="180 pairs/s\n")
        self.assertEqual(Results(all_runs, THREAD_WORKLOADS, 2).scaling("memtrace"), 0.9)
        self.assertEqual(Results(all_runs, THREAD_WORKLOADS, 8).scaling("memtrace"), 0.45)

    def test_a_pair_of_calls_is_the_median_of_whole_outputs(self):
        all_runs = runs("micro", "memtrace", [1], output="8 ns/pair tight\n90 ns/pair random\n")
        all_runs += runs("micro", "memtrace", [1], output="9 ns/pair tight\n")
        results = Results(all_runs, WORKLOADS, 2)
        self.assertEqual(results.pair("memtrace"), [8, 90])
        self.assertIsNone(results.pair("bare"))


class TargetsTest(unittest.TestCase):
    def test_met_and_missed(self):
        regions = Regions(300_000_000, 1.01, 1.49, 499_000_000)
        rows = targets.table(Results([], [], 2), regions).splitlines()[2:]
        self.assertEqual(["**missed**" in row for row in rows], [False, True, False, False])

    def test_no_mean_of_a_part_of_the_programs(self):
        one = [w for w in WORKLOADS if w.name == "objs"]
        all_runs = runs("objs", "bare", [1]) + runs("objs", "memtrace", [1])
        self.assertEqual(targets.table(Results(all_runs, one, 2), None), "")

    def test_each_reason_is_of_a_target(self):
        targets.read_reasons()


if __name__ == "__main__":
    unittest.main()
