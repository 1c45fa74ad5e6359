"""What adapters count of their engines."""

from tokenbooth.engines.port import EngineCounters
from tokenbooth.engines.tally import Tally


def test_a_tally_adds_up_what_runs_took() -> None:
    tally = Tally()
    before = tally.counters
    assert (before.input_tokens, before.output_tokens) == (0, 0)
    tally.count(10, 3)
    tally.count(5, 0)
    assert tally.counters == EngineCounters(before.generation, 15, 3)
    assert not tally.counters.shared
    assert tally.counters.with_cached
    assert tally.counters.rounding_tokens == 0


def test_each_adapter_counts_from_a_beginning_of_its_own() -> None:
    assert len({Tally().counters.generation for _ in range(50)}) == 50
