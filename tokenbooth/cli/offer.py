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
    """Exactly one of ``gguf``, ``embeddings``, ``upstream``, ``scripted``; the rest refines it."""

    gguf: Path | None
    embeddings: Path | None
    engine: str | None
    upstream: str | None
    upstream_model: str | None
    scripted: bool
    concurrency_max: int | None
    options: list[str] | None


def deployment_of(booth: Booth, offered: Offered, key_secret: str | None) -> DeploymentAsk:
    """Raises INVALID_VALUE naming what contradicts, or a file that holds no weights."""
    files = [offered.gguf is not None, offered.embeddings is not None]
    given = [*files, offered.upstream is not None, offered.scripted]
    if given.count(True) != 1:
        raise Problem(
            Code.INVALID_VALUE, "Give one of --gguf, --embeddings, --upstream and --scripted."
        )
    if offered.gguf is not None:
        ask = models.gguf_deployment(offered.gguf, local_engine(offered.engine))
    elif offered.embeddings is not None:
        ask = models.static_deployment(offered.embeddings)
    elif offered.upstream is not None:
        seal = models.Seal(booth.secrets.sealing_key, booth.randomness)
        ask = models.upstream_deployment(offered.upstream, offered.upstream_model, key_secret, seal)
    else:
        ask = models.scripted_deployment()
    wanted = ask.concurrency_max if offered.concurrency_max is None else offered.concurrency_max
    return replace(ask, options=pairs(offered.options), concurrency_max=wanted)


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
