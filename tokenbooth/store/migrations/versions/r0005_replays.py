"""Idempotency claims and the sealed answers that they replay."""

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    return
