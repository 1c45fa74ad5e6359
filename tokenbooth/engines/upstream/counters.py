"""Token counters out of the metrics of vLLM and of the llama.cpp server.

The text format of Prometheus, version 0.0.4: lines of name, labels in braces and number. vLLM
labels its counters with the model and, where several engines share the work, with each of them.
llama.cpp has one model, leaves cached input out, and writes six significant digits.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tokenbooth.engines.port import EngineCounters

COUNT_MAX = 2**53
LLAMACPP_DIGITS = 6
LLAMACPP_START = "process-start-time-unix"
SERVER_START = "process_start_time_seconds"
_LINE = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})? +(\S+)(?: +-?[0-9]+)?", re.ASCII)
_MODEL = re.compile(r'(?:^|,) *model_name="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Family:
    """The names of one kind of server; ``born`` changes with the counters' beginning."""

    input_name: str
    output_name: str
    born: str


VLLM = Family(
    "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:prompt_tokens_created"
)
LLAMACPP = Family("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total", "")


@dataclass(frozen=True, slots=True)
class Sample:
    """One line; ``model`` is ``None`` without such a label."""

    name: str
    model: str | None
    number: str


def counters_from(headers: Mapping[str, str], raw: bytes, model: str) -> EngineCounters | None:
    """The counters of ``model``; ``None`` where neither kind of server can be read.

    A server that names one model only means that one, whatever it is called here.
    """
    samples = tuple(_samples(raw.decode("utf-8", "replace")))
    start = "".join(sample.number for sample in samples if sample.name == SERVER_START)
    for family in (VLLM, LLAMACPP):
        mine = _of_model([s for s in samples if s.name in _names(family)], model)
        inputs = _sum(mine, family.input_name)
        outputs = _sum(mine, family.output_name)
        if inputs is None or outputs is None:
            continue
        if family is LLAMACPP:
            largest = len(str(max(inputs, outputs)))
            return EngineCounters(
                generation=headers.get(LLAMACPP_START, start),
                input_tokens=inputs,
                output_tokens=outputs,
                shared=True,
                with_cached=False,
                rounding_tokens=10 ** (largest - LLAMACPP_DIGITS)
                if largest > LLAMACPP_DIGITS
                else 0,
            )
        births = sorted(sample.number for sample in mine if sample.name == family.born)
        return EngineCounters("/".join((start, *births)), inputs, outputs, shared=True)
    return None


def _names(family: Family) -> tuple[str, ...]:
    return (family.input_name, family.output_name, family.born)


def _samples(text: str) -> Iterator[Sample]:
    for line in text.splitlines():
        found = _LINE.fullmatch(line.strip())
        if found is not None:
            labelled = _MODEL.search(found[2] or "")
            yield Sample(found[1], None if labelled is None else _plain(labelled[1]), found[3])


def _plain(label: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], label)


def _of_model(samples: list[Sample], model: str) -> list[Sample]:
    named = {sample.model for sample in samples}
    if len(named) <= 1:
        return samples
    return [sample for sample in samples if sample.model == model]


def _sum(samples: list[Sample], name: str) -> int | None:
    """``None`` when no line, or one that is no whole count, has the name."""
    counts = [_count(sample.number) for sample in samples if sample.name == name]
    total = 0
    for count in counts:
        if count is None:
            return None
        total += count
    return total if counts else None


def _count(number: str) -> int | None:
    try:
        value = float(number)
    except ValueError:
        return None
    return int(value) if 0 <= value <= COUNT_MAX and value.is_integer() else None
