"""The terms on which a call is priced, besides its model."""

from enum import StrEnum


class ServiceTier(StrEnum):
    """How urgently a call is served."""

    STANDARD = "standard"
    PRIORITY = "priority"
    FLEX = "flex"
    BATCH = "batch"


class DataTerms(StrEnum):
    """What may become of what a caller sends: nothing, or training by the model's maker."""

    PRIVATE = "private"
    CONTRIBUTOR = "contributor"
