"""The limit of calls inside, moved by the time between tokens and by the engine's pressure alone;
and how long a prompt will be read."""

from collections.abc import Iterable

from tokenbooth.admission.entry.rules import (
    MEASURED_TOKENS,
    PROMPT_EXTRA_TOKENS,
    TAIL_CALLS,
    margin_milli,
    next_limit_milli,
    reading_tokens_max,
    smoothed,
)
from tokenbooth.admission.entry.values import NEVER_US, Pace, Visit

SAMPLE_EVERY_US = 500_000
_NS_PER_US = 1_000
_MILLI = 1_000
# As many observations as a sixteenth weighs, for the mean and for what lies beside it.
_WEIGHT = 16
_ITL_WEIGHT = 4
_DEVIATIONS = 3
# A prompt whose reading alone takes longer than this part of its time is given all but the rest.
_READING_MILLI_MAX = 900


class Pacer:
    """Of one deployment with a pace. Hears of calls, and says how many may be inside."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._limit_milli = pace.ceiling * _MILLI
        self._margin = 950
        self._tail: list[int] = []
        self._token_ns = 0
        self._token_off_ns = 0
        self._itl_us = 0
        self._sample_us = 0
        self._pressed = False
        self._inside_tokens = 0
        self._tokens_max = 0
        self._full_tokens = False
        self.reading_tokens = 0
        self.full = False

    @property
    def limit(self) -> int:
        return self._limit_milli // _MILLI

    @property
    def sample_due_us(self) -> int:
        return self._sample_us + SAMPLE_EVERY_US

    def bounded(self, pace: Pace) -> None:
        """Another promise, or other bounds, from now on."""
        if pace != self.pace:
            grown = pace.ceiling > self.pace.ceiling
            self.pace = pace
            self._limit_milli = pace.ceiling * _MILLI if grown else self._limit_milli
            self._bound()

    def found(self, visits: Iterable[Visit]) -> None:
        """Those who were inside before this pacer; how long their prompts are read is not known."""
        for visit in visits:
            self._inside_tokens += visit.input_tokens + visit.output_tokens
            visit.reading_tokens = 0

    def entered(self, visit: Visit) -> None:
        self._inside_tokens += visit.input_tokens + visit.output_tokens
        self.reading_tokens += visit.input_tokens
        visit.reading_tokens = self.reading_tokens

    def first(self, visit: Visit, now_us: int) -> None:
        """The prompt is read: what was in flight when it came took this long."""
        self.reading_tokens -= visit.input_tokens
        tokens = visit.reading_tokens + PROMPT_EXTRA_TOKENS
        visit.reading_tokens = 0
        token_ns = (now_us - visit.entered_us) * _NS_PER_US // tokens
        if not self._token_ns:
            self._token_ns, self._token_off_ns = token_ns, token_ns // 4
            return
        off_ns = abs(token_ns - self._token_ns)
        self._token_off_ns = smoothed(self._token_off_ns, off_ns, _WEIGHT)
        self._token_ns = smoothed(self._token_ns, token_ns, _WEIGHT)

    def left(self, visit: Visit, now_us: int) -> None:
        """The call is over, well or not."""
        self._inside_tokens -= visit.input_tokens + visit.output_tokens
        if visit.reading_tokens:
            self.reading_tokens -= visit.input_tokens
        tokens = visit.progress()
        if visit.first_us != NEVER_US and tokens > MEASURED_TOKENS:
            took_us = now_us - visit.first_us
            self._tail.append(took_us * _MILLI // (self.pace.tpot_us * (tokens - 1)))
            if len(self._tail) == TAIL_CALLS:
                self._margin = margin_milli(self._margin, self._tail)
                self._tail.clear()

    def takes(self, visit: Visit, *, spare: bool) -> bool:
        """Whether prompts in flight and the engine's cache leave room; alone any call fits.

        ``spare``: it leaves some of that to others.
        """
        tokens = self._inside_tokens + visit.input_tokens + visit.output_tokens
        if self._tokens_max and self._inside_tokens:
            if tokens > self._tokens_max:
                self._full_tokens = True
                return False
            if spare and tokens * 4 > self._tokens_max * 3:
                return False
        if not self.reading_tokens or not self._token_ns:
            return True
        most = reading_tokens_max(self.pace.ttft_us, self._token_ns)
        return self.reading_tokens + visit.input_tokens <= (most // 2 if spare else most)

    def alone_us(self, visit: Visit) -> int:
        """How long its prompt will be read with no other in flight."""
        tokens = visit.input_tokens + PROMPT_EXTRA_TOKENS
        most_us = self.pace.ttft_us * _READING_MILLI_MAX // _MILLI
        return min(most_us, self._token_ns * tokens // _NS_PER_US)

    def first_after_us(self, visit: Visit) -> int:
        """How long after it is let in now its first token will come, on the safe side."""
        token_ns = self._token_ns + _DEVIATIONS * self._token_off_ns
        tokens = self.reading_tokens + visit.input_tokens + PROMPT_EXTRA_TOKENS
        most_us = self.pace.ttft_us * _READING_MILLI_MAX // _MILLI
        return min(most_us, token_ns * tokens // _NS_PER_US)

    def pressed(self) -> None:
        """The engine is short of cache, or threw a call out: no growth now."""
        self._pressed = True

    def sample(self, visits: Iterable[Visit], now_us: int) -> None:
        """Look at the calls inside, and move the limit by the median time between their tokens.

        The median, so that readers who stop reading do not move it.
        """
        self._sample_us = now_us
        gaps_us: list[int] = []
        inside = 0
        for visit in visits:
            inside += 1
            if visit.first_us == NEVER_US:
                continue
            tokens = visit.progress()
            if visit.sampled_tokens >= MEASURED_TOKENS:
                made = max(1, tokens - visit.sampled_tokens)
                gaps_us.append((now_us - visit.sampled_us) // made)
            visit.sampled_tokens, visit.sampled_us = tokens, now_us
        if gaps_us:
            gaps_us.sort()
            seen_us = gaps_us[len(gaps_us) // 2]
            self._itl_us = smoothed(self._itl_us or seen_us, seen_us, _ITL_WEIGHT)
            self._move(inside, self._itl_us)
        self._move_tokens()
        self._pressed = self.full = self._full_tokens = False

    def _move_tokens(self) -> None:
        """What may be inside in tokens, which nobody knows before the engine was once short."""
        if self._pressed:
            known = self._tokens_max or self._inside_tokens
            self._tokens_max = min(known, self._inside_tokens) * 15 // 16
        elif self._full_tokens:
            self._tokens_max += max(1, self._tokens_max // 32)

    def _move(self, inside: int, itl_us: int) -> None:
        aim_us = self.pace.tpot_us * self._margin // _MILLI
        full = self.full and not self._pressed
        self._limit_milli = next_limit_milli(self._limit_milli, inside, itl_us, aim_us, full=full)
        self._bound()

    def _bound(self) -> None:
        low, high = self.pace.floor * _MILLI, self.pace.ceiling * _MILLI
        self._limit_milli = min(high, max(low, self._limit_milli))
