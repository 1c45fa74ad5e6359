"""Which class of engine serves a deployment, with what it is made from."""

from collections.abc import Callable, Mapping
from functools import partial

from tokenbooth.booth import Booth
from tokenbooth.catalog.models import service as catalog
from tokenbooth.engines.child.engine import Keeper, Supervise
from tokenbooth.engines.child.supervisor import ChildListener, ChildPlan, Supervisor
from tokenbooth.engines.embedded.engine import EmbeddedEngine
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.llamacpp.engine import LlamacppEngine
from tokenbooth.engines.llamacpp.values import LlamacppOptions
from tokenbooth.engines.options import options_from
from tokenbooth.engines.port import Engine
from tokenbooth.engines.scripted.engine import ScriptedEngine
from tokenbooth.engines.scripted.values import ScriptOptions
from tokenbooth.engines.static.engine import StaticEngine
from tokenbooth.engines.static.values import StaticOptions
from tokenbooth.engines.upstream.engine import UpstreamEngine
from tokenbooth.engines.upstream.values import UpstreamOptions

Supervises = Callable[[str, ChildPlan, ChildListener], Keeper]


def shared_engine_of(
    supervises: Supervises, booth: Booth, deployment: catalog.Deployment
) -> Engine:
    """As ``engine_of``; what keeps a child alive is made by ``supervises``, for a deployment."""
    if deployment.engine is catalog.EngineKind.EMBEDDED:
        return _embedded(booth, deployment, partial(supervises, deployment.id))
    if deployment.engine is catalog.EngineKind.LLAMACPP:
        return _llamacpp(booth, deployment, partial(supervises, deployment.id))
    return engine_of(booth, deployment)


def _embedded(
    booth: Booth, deployment: catalog.Deployment, supervise: Supervise = Supervisor
) -> Engine:
    options = options_from(EmbeddedOptions, deployment.options, gguf_path=deployment.gguf_path)
    return EmbeddedEngine(options, supervise)


def _llamacpp(
    booth: Booth, deployment: catalog.Deployment, supervise: Supervise = Supervisor
) -> Engine:
    options = options_from(LlamacppOptions, deployment.options, gguf_path=deployment.gguf_path)
    return LlamacppEngine(options, supervise)


def _upstream(booth: Booth, deployment: catalog.Deployment) -> Engine:
    sealed = deployment.upstream_key_sealed
    key = None if sealed is None else catalog.unseal(sealed, booth.secrets.sealing_key).decode()
    return UpstreamEngine(
        options_from(
            UpstreamOptions,
            deployment.options,
            base_url=deployment.upstream_url,
            model=deployment.upstream_model or deployment.model_name,
            key=key,
        )
    )


def _scripted(booth: Booth, deployment: catalog.Deployment) -> Engine:
    return ScriptedEngine(options_from(ScriptOptions, deployment.options))


def _static(booth: Booth, deployment: catalog.Deployment) -> Engine:
    return StaticEngine(
        options_from(StaticOptions, deployment.options, table_path=deployment.gguf_path)
    )


def engine_of(booth: Booth, deployment: catalog.Deployment) -> Engine:
    """A new engine, not opened. Raises a Problem that names the missing extra, if one is."""
    return _ENGINES[deployment.engine](booth, deployment)


_ENGINES: Mapping[catalog.EngineKind, Callable[[Booth, catalog.Deployment], Engine]] = {
    catalog.EngineKind.EMBEDDED: _embedded,
    catalog.EngineKind.LLAMACPP: _llamacpp,
    catalog.EngineKind.UPSTREAM: _upstream,
    catalog.EngineKind.SCRIPTED: _scripted,
    catalog.EngineKind.STATIC: _static,
}
