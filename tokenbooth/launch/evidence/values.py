"""Evidence: attestations as they were added, with what was said against them since."""

from dataclasses import dataclass

from tokenbooth.signing.attestation import Attestation


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """``revoked_us`` is when it was said not to count any more, ``None`` while it stands."""

    digest: str
    attestation: Attestation
    added_us: int
    added_by: str
    revoked_us: int | None = None
    revoked_why: str = ""

    @property
    def model(self) -> str:
        return self.attestation.finding.subject.get("model", "")

    @property
    def kind(self) -> str:
        return self.attestation.finding.kind

    @property
    def issued_us(self) -> int:
        return self.attestation.finding.issued_at_us
