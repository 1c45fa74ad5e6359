"""An OpenAI-compatible server behind the engine port."""

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from tokenbooth.core.codes import Code
from tokenbooth.core.features import Capabilities, Feature
from tokenbooth.core.problem import Problem
from tokenbooth.core.turn import Turn
from tokenbooth.engines.bounds import text_tokens_max, turn_tokens_max
from tokenbooth.engines.port import (
    DeltaSink,
    Embeddings,
    EngineCounters,
    Health,
    InputCount,
    Run,
)
from tokenbooth.engines.refusals import closed, not_open, unsupported
from tokenbooth.engines.upstream.body import chat_body, completion_body, encoded
from tokenbooth.engines.upstream.chunks import broken, usage_from
from tokenbooth.engines.upstream.counters import counters_from
from tokenbooth.engines.upstream.pool import Pool
from tokenbooth.engines.upstream.refused import refusal
from tokenbooth.engines.upstream.run import UpstreamRun
from tokenbooth.engines.upstream.values import UNREADABLE, UpstreamOptions

HEALTH_BYTES_MAX = 4 * 2**20
COUNTERS_BYTES_MAX = 8 * 2**20


class _Vector(Struct):
    index: int
    embedding: list[float]


class _EmbeddingsBody(Struct):
    vectors: list[_Vector] = msgspec.field(name="data")
    usage: msgspec.Raw = msgspec.Raw(b"null")


class UpstreamEngine:
    """Satisfies ``tokenbooth.engines.port.Engine``.

    Input tokens are counted by the bound of ``tokenbooth.engines.bounds``. The prompt's length is
    judged by the upstream, whose finding reaches ``failed`` as CONTEXT_LENGTH_EXCEEDED.
    """

    def __init__(self, options: UpstreamOptions) -> None:
        self._options = options
        self._pool = Pool(options)
        self._runs: set[UpstreamRun] = set()
        self._is_open = False
        self._capabilities = Capabilities(options.all_features, options.context_tokens)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        """Makes no call: a gateway starts while its upstream is down; ``health`` tells."""
        self._pool.open()
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        runs = tuple(self._runs)
        for run in runs:
            run.fail(closed())
        tasks = [run.task for run in runs if run.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._pool.close()

    async def health(self) -> Health:
        """Asks ``GET /models``; a server without that path counts as ready, since it answers."""
        if not self._is_open:
            return Health(ready=False, reason="the engine is not open")
        request = self._pool.request("GET", "/models")
        try:
            answer = await self._pool.fetch(
                request, self._options.health_timeout_ms, HEALTH_BYTES_MAX
            )
        except Problem as problem:
            return Health(ready=False, reason=problem.public)
        if answer.status in (401, 403):
            return Health(ready=False, reason="the upstream refuses the key")
        if answer.status >= 500 or answer.status == 429:
            return Health(ready=False, reason=f"the upstream answers with status {answer.status}")
        return Health(ready=True)

    async def counters(self) -> EngineCounters | None:
        """Asks for the server's metrics; ``None`` when it has none that are known here."""
        path = self._options.counters_path
        if not self._is_open or not path:
            return None
        request, wait_ms = self._pool.root_request(path), self._options.health_timeout_ms
        try:
            answer = await self._pool.fetch(request, wait_ms, COUNTERS_BYTES_MAX)
        except Problem:
            return None
        if answer.status != 200:
            return None
        return counters_from(answer.headers, answer.body, self._options.model)

    async def count_input_tokens(self, turn: Turn) -> InputCount:
        return InputCount(turn_tokens_max(turn), exact=False)

    def start(self, turn: Turn, sink: DeltaSink) -> Run:
        run = UpstreamRun(turn, self._pool, self._options, sink, self._runs.discard)
        self._runs.add(run)
        try:
            self._begin(run, turn)
        except Problem as problem:
            run.refuse(problem)
        return run

    def _begin(self, run: UpstreamRun, turn: Turn) -> None:
        if not self._is_open:
            raise not_open()
        if problem := unsupported(turn, self._capabilities):
            raise problem
        if turn.raw:
            path, body = "/completions", completion_body(turn, self._options)
        else:
            path, body = "/chat/completions", chat_body(turn, self._options)
        run.begin(self._pool.request("POST", path, body))

    async def embed(self, texts: Sequence[str], dimensions: int | None = None) -> Embeddings:
        """``input_tokens`` is the upstream's count, or the bound where it sends none.

        Raises Problem UNSUPPORTED_FEATURE, and what ``start`` reports to ``failed``.
        """
        if Feature.EMBEDDINGS not in self._options.features:
            raise Problem(Code.UNSUPPORTED_FEATURE, "This model's engine makes no embeddings.")
        if not self._is_open:
            raise not_open()
        options = self._options
        sized = {} if dimensions is None else {"dimensions": dimensions}
        asked = {"model": options.model, "input": list(texts), "encoding_format": "float"}
        body = encoded({**asked, **sized})
        request = self._pool.request("POST", "/embeddings", body)
        answer = await self._pool.fetch(
            request, options.first_byte_timeout_ms, options.answer_bytes_max
        )
        if answer.status != 200:
            raise refusal(answer.status, answer.headers, answer.body, options, "the model")
        return _embeddings(answer.body, texts)


def _embeddings(raw: bytes, texts: Sequence[str]) -> Embeddings:
    try:
        body = msgspec.json.decode(raw, type=_EmbeddingsBody)
    except UNREADABLE as error:
        raise broken("embeddings that cannot be read") from error
    found = {vector.index: tuple(vector.embedding) for vector in body.vectors}
    if len(body.vectors) != len(texts) or set(found) != set(range(len(texts))):
        raise broken("another number of embeddings than was asked for")
    usage = usage_from(bytes(body.usage))
    tokens = usage.input_tokens if usage else sum(map(text_tokens_max, texts))
    vectors = tuple(found[index] for index in range(len(texts)))
    return Embeddings(vectors, tokens, exact=usage is not None)
