"""The opened engines of this replica, one for each deployment that was asked for."""

import asyncio
from collections.abc import Callable, Collection

from tokenbooth.catalog.models.service import Deployment
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem
from tokenbooth.engines.port import Engine, Health

EngineFactory = Callable[[Deployment], Engine]


class EnginePool:
    """Opens an engine at its first use, or ahead of it, and closes what the catalog dropped."""

    def __init__(self, make: EngineFactory, *, open_wait_max_s: int) -> None:
        self._make = make
        self._open_wait_max_s = open_wait_max_s
        self._engines: dict[str, Engine] = {}
        self._opening: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, Health] = {}
        self._look: asyncio.Task[dict[str, Health]] | None = None

    async def engine(self, deployment: Deployment) -> Engine:
        """The opened engine.

        Raises ENGINE_NOT_READY when it does not come up in time; the opening goes on meanwhile.
        """
        engine = self._engines.get(deployment.id)
        if engine is None:
            engine = self._engines[deployment.id] = self._make(deployment)
            self._opening[deployment.id] = asyncio.create_task(engine.open())
        opening = self._opening.get(deployment.id)
        if opening is not None:
            await self._opened(deployment.id, opening)
        return engine

    def opened(self, deployment_id: str) -> Engine | None:
        """The engine if it is up; asking opens nothing."""
        if deployment_id in self._opening:
            return None
        return self._engines.get(deployment_id)

    async def _opened(self, deployment_id: str, opening: asyncio.Task[None]) -> None:
        done, _ = await asyncio.wait({opening}, timeout=self._open_wait_max_s)
        if not done:
            raise Problem(
                Code.ENGINE_NOT_READY, "The model is still being loaded.", retry_after_s=5
            )
        if opening.cancelled():
            raise Problem(Code.ENGINE_NOT_READY, "The model was removed while it was loaded.")
        if self._opening.get(deployment_id) is opening:
            del self._opening[deployment_id]
            if opening.exception() is not None:
                del self._engines[deployment_id]
        opening.result()

    async def health(self) -> dict[str, Health]:
        """Health by deployment id, of the engines that were asked for so far.

        Whoever asks while a look is under way shares it, so that no crowd of strangers at
        ``/readyz`` becomes a crowd at an upstream.
        """
        look = self._look
        if look is None or look.done():
            look = self._look = asyncio.create_task(self._looked())
        return dict(await asyncio.shield(look))

    async def _looked(self) -> dict[str, Health]:
        engines = dict(self._engines)
        loading = Health(ready=False, reason="loading")
        found = {i: loading for i in engines if i in self._opening}
        asked = [i for i in engines if i not in found]
        answers = await asyncio.gather(*(engines[i].health() for i in asked))
        found |= zip(asked, answers, strict=True)
        self._seen = found
        return found

    def ready(self) -> dict[str, int]:
        """1 or 0 by deployment id, as it was when health was last looked at."""
        return {i: int(health.ready) for i, health in self._seen.items()}

    def restarts(self) -> dict[str, int]:
        """By deployment id, as they were when health was last looked at."""
        return {i: health.restarts for i, health in self._seen.items()}

    async def keep_only(self, deployment_ids: Collection[str]) -> None:
        """Close the engines of deployments that are no longer offered."""
        for deployment_id in [i for i in self._engines if i not in deployment_ids]:
            await self._close(deployment_id)

    async def close(self) -> None:
        await self.keep_only(())

    async def _close(self, deployment_id: str) -> None:
        engine = self._engines.pop(deployment_id)
        opening = self._opening.pop(deployment_id, None)
        if opening is not None:
            opening.cancel()
            await asyncio.wait({opening})
        await engine.close()
