"""The embedded engine as the gateway sees it; OpenVINO itself is only loaded in the child."""

from pathlib import Path

import msgspec

from tokenbooth.core.features import Feature
from tokenbooth.engines.child.engine import ChildEngine, Kind, Supervise
from tokenbooth.engines.child.supervisor import ChildPlan, Supervisor
from tokenbooth.engines.embedded.values import EmbeddedOptions
from tokenbooth.engines.gguf.tokenizer import Unknown

WORKER = "tokenbooth.engines.embedded.worker"
# Proven in tests/outside/engines. The engine tells neither cached tokens of a call nor likely
# alternatives, and has no logit bias.
FEATURES = frozenset(
    {
        Feature.TOOLS,
        Feature.JSON_OBJECT,
        Feature.JSON_SCHEMA,
        Feature.LOGPROBS,
        Feature.STOP,
        Feature.SEED,
        Feature.CHOICES,
        Feature.PENALTIES,
        Feature.RAW_PROMPT,
    }
)


class EmbeddedEngine(ChildEngine):
    """``ContinuousBatchingPipeline`` of OpenVINO GenAI over one GGUF file."""

    def __init__(self, options: EmbeddedOptions, supervise: Supervise = Supervisor) -> None:
        plan = ChildPlan(WORKER, msgspec.json.encode(options), options)
        super().__init__(Kind(FEATURES, plan, Path(options.gguf_path), Unknown.STAND_IN), supervise)
