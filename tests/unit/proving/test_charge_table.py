"""``docs/charges.md`` and the rule of the gateway say the same."""

from pathlib import Path

import pytest

from tokenbooth.core.delta import RunEnd, Usage, UsageSource
from tokenbooth.core.receipt import Outcome
from tokenbooth.gateway.rules import Charge, Delivery, charge_of

PAGE = Path(__file__).parents[3] / "docs" / "charges.md"
COUNTED = Usage(12, 34)
SENT_END = RunEnd(COUNTED)
NOTHING, SOMETHING = Delivery(), Delivery(output_tokens=7, produced_bytes=40)


def table() -> dict[str, tuple[str, str]]:
    """Outcome to what is charged when nothing, and when something was delivered."""
    rows = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            rows[cells[0].strip("`")] = (cells[2], cells[3])
    return rows


def words(charge: Charge) -> str:
    if not charge.charge:
        return "nothing"
    return "the engine's usage" if charge.usage is COUNTED else "what was delivered"


def test_the_table_has_one_row_for_each_outcome() -> None:
    assert set(table()) == {outcome.value for outcome in Outcome}


@pytest.mark.parametrize("outcome", list(Outcome), ids=str)
def test_each_row_is_what_the_rule_does(outcome: Outcome) -> None:
    end = SENT_END if outcome is Outcome.COMPLETED else None
    said = tuple(
        words(charge_of(outcome, end, delivery, 12, exact=True))
        for delivery in (NOTHING, SOMETHING)
    )
    assert said == table()[outcome.value]


def test_what_was_delivered_is_the_input_and_the_output_that_left() -> None:
    charge = charge_of(Outcome.CLIENT_GONE, None, SOMETHING, 12, exact=True)
    assert (charge.usage.input_tokens, charge.usage.output_tokens) == (12, 7)


def test_without_usage_the_bound_is_one_token_for_each_byte_and_says_so() -> None:
    charge = charge_of(Outcome.COMPLETED, RunEnd(None), SOMETHING, 12, exact=True)
    assert charge.usage == Usage(12, 40, source=UsageSource.BOUND)
    assert '"source": "bound"' in PAGE.read_text()
