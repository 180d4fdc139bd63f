"""Items as archives write and break them: read, repaired or skipped one by one; the page of them is true."""

import pytest

from benchmarks.inputs.item_files import ITEM_CASES, outcome
from benchmarks.inputs.table import row


@pytest.mark.parametrize("case", ITEM_CASES, ids=lambda case: case.name)
def test_each_item_ends_as_is_right_and_as_the_page_says(case, repository):
    happens, right = outcome(case)
    assert right, happens
    assert row(case.name, happens) in (repository / "docs/reference/inputs.md").read_text()
