"""Makes a deployment of what was typed for ``model add``."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from tokenbooth.booth import Booth
from tokenbooth.catalog.models.service import DeploymentAsk
from tokenbooth.cli.engine import local_engine
from tokenbooth.cli.parsing import pairs
from tokenbooth.control import models
from tokenbooth.core.codes import Code
from tokenbooth.core.problem import Problem

KEY_CHARACTERS_MAX = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """Exactly one of ``gguf``, ``embeddings``, ``upstream``, ``scripted``; the rest refines it.
    Several upstreams serve the same model."""

    gguf: Path | None
    embeddings: Path | None
    engine: str | None
    upstream: list[str] | None
    upstream_model: str | None
    scripted: bool
    concurrency_max: int | None
    options: list[str] | None


def deployments_of(
    booth: Booth, offered: Offered, key_secret: str | None
) -> tuple[DeploymentAsk, ...]:
    """Raises INVALID_VALUE naming what contradicts, or a file that holds no weights."""
    files = [offered.gguf is not None, offered.embeddings is not None]
    given = [*files, bool(offered.upstream), offered.scripted]
    if given.count(True) != 1:
        raise Problem(
            Code.INVALID_VALUE, "Give one of --gguf, --embeddings, --upstream and --scripted."
        )
    asks: tuple[DeploymentAsk, ...]
    if offered.gguf is not None:
        asks = (models.gguf_deployment(offered.gguf, local_engine(offered.engine)),)
    elif offered.embeddings is not None:
        asks = (models.static_deployment(offered.embeddings),)
    elif offered.upstream:
        seal = models.Seal(booth.secrets.sealing_key, booth.randomness)
        asks = tuple(
            models.upstream_deployment(url, offered.upstream_model, key_secret, seal)
            for url in dict.fromkeys(offered.upstream)
        )
    else:
        asks = (models.scripted_deployment(),)
    options, most = pairs(offered.options), offered.concurrency_max
    return tuple(
        replace(ask, options=options, concurrency_max=ask.concurrency_max if most is None else most)
        for ask in asks
    )


def key_from(source: str | None) -> str | None:
    """The first line of a file, or with ``-`` of standard input, bounded, without its line end."""
    if source is None:
        return None
    try:
        if source == "-":
            text = sys.stdin.readline(KEY_CHARACTERS_MAX + 1)
        else:
            with Path(source).expanduser().open(encoding="utf-8") as stream:
                text = stream.readline(KEY_CHARACTERS_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(
            Code.INVALID_VALUE, f"The upstream key cannot be read: {error}.", param="upstream-key"
        ) from error
    secret = text.strip()
    if not secret or len(text) > KEY_CHARACTERS_MAX:
        raise Problem(
            Code.INVALID_VALUE,
            f"The upstream key must be one line of 1 to {KEY_CHARACTERS_MAX} characters.",
            param="upstream-key",
        )
    return secret
