"""Pages over the items of a response."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.web.responses import page


def items(count: int) -> list[dict[str, Any]]:
    return [{"id": f"msg_{number}"} for number in range(count)]


@given(st.integers(0, 30), st.integers(1, 12))
def test_the_pages_together_are_the_whole_list_once(count: int, limit: int):
    seen: list[str] = []
    after: str | None = None
    while True:
        found: Any = page(items(count), after, limit)
        seen += [item["id"] for item in found["data"]]
        assert len(found["data"]) <= limit
        if not found["has_more"]:
            break
        after = found["last_id"]
    assert seen == [item["id"] for item in items(count)]


def test_a_page_names_its_ends():
    found = page(items(3), "msg_0", 5)
    assert (found["first_id"], found["last_id"], found["has_more"]) == ("msg_1", "msg_2", False)


def test_an_id_that_is_not_there_is_refused():
    with pytest.raises(Problem) as refused:
        page(items(3), "msg_3", 5)
    assert (refused.value.code, refused.value.param) == (Code.INVALID_VALUE, "after")
