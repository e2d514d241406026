"""docs/faults.md and the tests that bear its numbers say the same."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "faults.md"
ROWS = range(1, 24)
#: Rows, or parts of rows, of which the thing itself is not there yet say so with this word.
LATER = "later:"


def rows() -> dict[int, tuple[str, set[str]]]:
    """Number → what is said of its tests, and those that are named: `file::name` under tests/."""
    found = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if (match := re.match(r"\| (\d+) \|", line)) is not None:
            cell = line.rstrip("| ").rpartition("|")[2]
            found[int(match[1])] = cell, set(re.findall(r"`([\w/]+\.py::\w+)`", cell))
    return found


def marked() -> Iterator[tuple[int, str]]:
    """Number and `file::name` of each test that bears one."""
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                    assert node.name.startswith("test_"), f"{node.name} is no test"
                    for number in mark.args:
                        name = f"{file.relative_to(ROOT / 'tests').as_posix()}::{node.name}"
                        yield int(ast.literal_eval(number)), name


def test_every_row_names_the_tests_that_bear_its_number_and_no_others() -> None:
    table = rows()
    assert list(table) == list(ROWS)
    by_number: dict[int, set[str]] = {number: set() for number in ROWS}
    for number, name in marked():
        by_number[number].add(name)
    assert {number: named for number, (_, named) in table.items()} == by_number


def test_a_row_without_a_test_says_what_it_waits_for() -> None:
    for number, (cell, named) in rows().items():
        assert named or LATER in cell, number
