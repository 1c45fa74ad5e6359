"""What an organization's limits are when some are left unstated."""

from tokenbooth.access.orgs.values import DEFAULT_ORG_LIMITS
from tokenbooth.core.caller import CallLimits


def explicit_limits(limits: CallLimits) -> CallLimits:
    """Every unstated limit becomes the default one, so that an answer can always name it."""
    default = DEFAULT_ORG_LIMITS
    return CallLimits(
        requests_per_minute=limits.requests_per_minute or default.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute or default.tokens_per_minute,
        parallel_calls=limits.parallel_calls or default.parallel_calls,
    )
