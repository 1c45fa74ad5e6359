"""Leased budget blocks: limits with windows, replicas with epochs, leases, the outbox."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    return
