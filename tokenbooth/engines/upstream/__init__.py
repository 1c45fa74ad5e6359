"""Any OpenAI-compatible server as an engine, over an own pooled HTTP/1.1 client."""

from tokenbooth.engines.upstream.engine import UpstreamEngine
from tokenbooth.engines.upstream.values import (
    EndCustomerField,
    OutputLimitField,
    UpstreamOptions,
)

__all__ = ["EndCustomerField", "OutputLimitField", "UpstreamEngine", "UpstreamOptions"]
