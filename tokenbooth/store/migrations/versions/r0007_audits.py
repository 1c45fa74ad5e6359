"""Results of the reconciler, and thresholds of spend alerts."""

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    return
