"""Pure decisions of the ten steps: output limits, and what an ended call is charged for."""

from typing import NamedTuple

from tokenbooth.core.codes import Code
from tokenbooth.core.delta import RunEnd, Usage, UsageSource
from tokenbooth.core.noun import noun
from tokenbooth.core.problem import Problem
from tokenbooth.core.receipt import Outcome
from tokenbooth.engines.refusals import too_long

TOKENS_MAX = 10**12
FINGERPRINT_CHARACTERS_MAX = 200


@noun
class OutputAsk:
    """The output limit asked for, and everything that bounds it, in tokens of one choice."""

    asked: int | None
    model_max: int | None
    context: int | None
    input_tokens: int
    input_exact: bool


def output_limit(ask: OutputAsk, *, param: str) -> int:
    """The output limit that the model allows.

    A stated limit over the model's own is refused; one that only the prompt's length makes too
    large is lowered, because clients send a fixed limit with every prompt. Raises
    CONTEXT_LENGTH_EXCEEDED with both numbers, or INVALID_VALUE.
    """
    ceilings = [n for n in (ask.model_max, ask.context) if n is not None]
    ceiling = min(ceilings, default=None)
    if ceiling is None:
        raise Problem(Code.INTERNAL, "The model has no known limits.", detail="no context length")
    if ask.asked is not None and ask.asked > ceiling:
        raise Problem(
            Code.INVALID_VALUE,
            f"{param} is {ask.asked}; this model gives at most {ceiling} output tokens.",
            param=param,
            facts={"output_tokens_max": ceiling},
        )
    wanted = ceiling if ask.asked is None else ask.asked
    if ask.context is None:
        return wanted
    problem = too_long(ask.input_tokens, ask.context)
    if problem is None:
        return min(wanted, ask.context - ask.input_tokens)
    if ask.input_exact:
        raise problem
    # Only an upper bound of the prompt is known, so the engine itself must say whether it fits.
    return wanted


def within_rate(
    output_tokens_max: int, input_tokens: int, choices: int, fit_tokens: int | None
) -> int:
    """An unstated limit, lowered so that the call fits a tokens-per-minute limit at all.

    ``fit_tokens`` is the largest call that can ever pass, ``None`` for any.
    """
    if fit_tokens is None:
        return output_tokens_max
    return max(1, min(output_tokens_max, (fit_tokens - input_tokens) // choices))


def billed_input_tokens(input_tokens: int, context: int | None, prompts: int = 1) -> int:
    """An upper bound can be larger than the window, which no accepted prompt can be."""
    return input_tokens if context is None else min(input_tokens, context * prompts)


class Delivery(NamedTuple):
    """What left towards the caller: engine-counted tokens, and the bytes of what was uncounted.

    ``produced_bytes`` is all output of the run, delivered or not. ``slowed``: the engine had to
    wait for the reader.
    """

    output_tokens: int = 0
    uncounted_bytes: int = 0
    produced_bytes: int = 0
    slowed: bool = False

    @property
    def any(self) -> bool:
        return self.output_tokens > 0 or self.uncounted_bytes > 0


@noun
class Charge:
    """What to settle; ``charge`` is False where the call costs nothing."""

    outcome: Outcome
    usage: Usage
    charge: bool
    reason: str


REASONS = {
    Outcome.COMPLETED: "The answer is complete; the engine's usage is charged.",
    Outcome.CLIENT_GONE: "The caller hung up; what was delivered until then is charged.",
    Outcome.KEY_REVOKED: "The key was revoked; what was delivered until then is charged.",
    Outcome.ENGINE_FAILED: "The engine failed; nothing is charged.",
    Outcome.TIMED_OUT: "The call ran out of time; nothing is charged.",
    Outcome.INTERRUPTED: "The server stopped during the call; what was delivered is charged.",
    Outcome.CAP_REACHED: "The money was used up during the call; what was delivered is charged.",
    Outcome.REFUSED: "The engine refused the call; nothing is charged.",
}
CHARGED_IF_DELIVERED = frozenset(
    {Outcome.CLIENT_GONE, Outcome.KEY_REVOKED, Outcome.INTERRUPTED, Outcome.CAP_REACHED}
)
UNCOUNTED = "The engine sent no usage, so the documented upper bound is charged."
IMPOSSIBLE = "The engine's usage cannot be true, so the documented upper bound is charged."
SLOWED = "The call ran out of time and its reader was slow; what was delivered is charged."
WITHHELD = "The price could not be booked, so the answer was withheld; nothing is charged."
NOTHING_DELIVERED = "Nothing was delivered, so nothing is charged."


def charge_of(
    outcome: Outcome, end: RunEnd | None, delivery: Delivery, input_tokens: int, *, exact: bool
) -> Charge:
    """The charge table (``docs/charges.md``), one branch for each kind of end."""
    if outcome is Outcome.COMPLETED:
        told = None if end is None else end.usage
        if told is not None and is_possible(told):
            return Charge(outcome, told, charge=True, reason=REASONS[outcome])
        bound = Usage(input_tokens, delivery.produced_bytes, source=UsageSource.BOUND)
        return Charge(outcome, bound, charge=True, reason=IMPOSSIBLE if told else UNCOUNTED)
    delivered = delivered_usage(delivery, input_tokens, exact=exact)
    if outcome is Outcome.TIMED_OUT and delivery.slowed and delivery.any:
        # Otherwise a reader could take most of a long answer, stall, and pay nothing.
        return Charge(outcome, delivered, charge=True, reason=SLOWED)
    if outcome not in CHARGED_IF_DELIVERED:
        return Charge(outcome, delivered, charge=False, reason=REASONS[outcome])
    if not delivery.any:
        return Charge(outcome, delivered, charge=False, reason=NOTHING_DELIVERED)
    return Charge(outcome, delivered, charge=True, reason=REASONS[outcome])


def is_possible(usage: Usage) -> bool:
    """Whether counts can be true: none negative or absurd, no part above its whole."""
    counts = usage.counts
    if min(counts) < 0 or max(counts) > TOKENS_MAX:
        return False
    cached_tokens = (usage.cached_input_tokens or 0) + usage.cache_write_tokens
    return cached_tokens <= usage.input_tokens and usage.reasoning_tokens <= usage.output_tokens


def shown_fingerprint(text: str | None) -> str | None:
    """An engine's name for its configuration, if it is fit to be stored and shown."""
    if text is None or len(text) > FINGERPRINT_CHARACTERS_MAX or not text.isprintable():
        return None
    return text


def delivered_usage(delivery: Delivery, input_tokens: int, *, exact: bool) -> Usage:
    """What had left so far: the input, and the output by the engine's count or by its bytes."""
    counted = exact and delivery.uncounted_bytes == 0
    return Usage(
        input_tokens=input_tokens,
        output_tokens=delivery.output_tokens + delivery.uncounted_bytes,
        source=UsageSource.ENGINE if counted else UsageSource.BOUND,
    )
