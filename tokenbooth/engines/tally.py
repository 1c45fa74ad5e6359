"""What an engine has worked on, counted by its adapter."""

import secrets

from tokenbooth.engines.port import EngineCounters


class Tally:
    """Counts from zero for each adapter that is made; a restarted child goes on counting."""

    def __init__(self) -> None:
        self._generation = secrets.token_hex(8)
        self._input_tokens = 0
        self._output_tokens = 0

    def count(self, input_tokens: int, output_tokens: int) -> None:
        """Add what one run took, however it ended."""
        self._input_tokens += input_tokens
        self._output_tokens += output_tokens

    @property
    def counters(self) -> EngineCounters:
        return EngineCounters(self._generation, self._input_tokens, self._output_tokens)
