"""Unit tests of sizes in words and of tables (memtrace._units)."""

import unittest

from memtrace import _units


class Sizes(unittest.TestCase):
    def test_the_rule_of_tracemalloc(self):
        for number, words in (
            (0, "0 B"),
            (10239, "10239 B"),
            (10240, "10.0 KiB"),
            (102349, "100.0 KiB"),
            (102400, "100 KiB"),
            (10485759, "10240 KiB"),
            (10485760, "10.0 MiB"),
            (-10240, "-10.0 KiB"),
            (1 << 50, "1024 TiB"),
        ):
            self.assertEqual(_units.size(number), words)

    def test_signs(self):
        self.assertEqual(_units.size(10240, signed=True), "+10.0 KiB")
        self.assertEqual(_units.size(-5, signed=True), "-5 B")
        self.assertEqual(_units.size(0, signed=True), "+0 B")

    def test_shares(self):
        self.assertEqual(_units.share(1, 8), "12.5%")
        self.assertEqual(_units.share(0, 0), "-")


class Tables(unittest.TestCase):
    def test_columns_are_as_wide_as_their_cells(self):
        lines = _units.table(("Size", "Name"), [("1 B", "a"), ("10 KiB", "longer")], left=(1,))
        self.assertEqual(lines, ["  Size  Name", "   1 B  a", "10 KiB  longer"])


if __name__ == "__main__":
    unittest.main()
