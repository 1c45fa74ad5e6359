"""Price books in any currency, with tiers, data terms, context steps and locks."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    return
