"""The one error type of the product.

A domain raises ``Problem(Code.…, public=…)``; it knows no HTTP. Each dialect maps the kind to its
own status and error type (``tokenbooth.protocols.problems``). ``public`` goes to the client,
``detail`` only to the log.
"""

from collections.abc import Mapping
from types import MappingProxyType

from tokenbooth.core.codes import Code, Kind

NO_FACTS: Mapping[str, str | int] = MappingProxyType({})


class Problem(Exception):
    """Something the caller, or the operator, can act on.

    ``param`` names the offending field in the caller's own body or header; ``retry_after_s`` is
    whole seconds; ``facts`` are machine-readable extras shown to the client (for example both
    numbers of a refused length).
    """

    def __init__(
        self,
        code: Code,
        public: str,
        *,
        param: str | None = None,
        detail: str = "",
        retry_after_s: int | None = None,
        facts: Mapping[str, str | int] = NO_FACTS,
    ) -> None:
        super().__init__(public)
        self.code = code
        self.public = public
        self.param = param
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.facts = facts

    @property
    def kind(self) -> Kind:
        return self.code.kind

    def named(self, param: str | None) -> "Problem":
        """The same under the name that a field has in the caller's own dialect."""
        if param == self.param:
            return self
        return Problem(
            self.code,
            self.public,
            param=param,
            detail=self.detail,
            retry_after_s=self.retry_after_s,
            facts=self.facts,
        )

    def __repr__(self) -> str:
        return f"Problem({self.code.name}, {self.public!r}, param={self.param!r})"
