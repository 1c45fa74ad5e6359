"""The llama.cpp engine as the gateway sees it; llama.cpp itself is only loaded in the child."""

from pathlib import Path

import msgspec

from tokenbooth.core.features import Feature
from tokenbooth.engines.child.engine import ChildEngine, Kind, Supervise
from tokenbooth.engines.child.supervisor import ChildPlan, Supervisor
from tokenbooth.engines.gguf.tokenizer import Unknown
from tokenbooth.engines.llamacpp.values import LlamacppOptions

WORKER = "tokenbooth.engines.llamacpp.worker"
# Proven in tests/outside/engines. Tools are made by us: the engine was seen dropping them.
FEATURES = frozenset(
    {
        Feature.TOOLS,
        Feature.JSON_OBJECT,
        Feature.JSON_SCHEMA,
        Feature.LOGPROBS,
        Feature.TOP_LOGPROBS,
        Feature.STOP,
        Feature.SEED,
        Feature.CHOICES,
        Feature.PENALTIES,
        Feature.RAW_PROMPT,
        Feature.LOGIT_BIAS,
        Feature.CACHED_TOKENS,
    }
)


class LlamacppEngine(ChildEngine):
    """xllamacpp's server over one GGUF file."""

    def __init__(self, options: LlamacppOptions, supervise: Supervise = Supervisor) -> None:
        plan = ChildPlan(WORKER, msgspec.json.encode(options), options)
        features = FEATURES | ({Feature.IMAGES} if options.mmproj_path else set())
        super().__init__(Kind(features, plan, Path(options.gguf_path), Unknown.DROPPED), supervise)
