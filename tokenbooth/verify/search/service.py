"""What others may use of the search."""

from tokenbooth.verify.search.rules import block_bound, warm_calls
from tokenbooth.verify.search.search import Search
from tokenbooth.verify.search.values import (
    PPM,
    Bound,
    Judgement,
    Promise,
    Purpose,
    Run,
    SearchPlan,
    Seen,
)

__all__ = [
    "PPM",
    "Bound",
    "Judgement",
    "Promise",
    "Purpose",
    "Run",
    "Search",
    "SearchPlan",
    "Seen",
    "block_bound",
    "warm_calls",
]
