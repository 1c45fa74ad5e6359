"""What a metered unit costs: immutable versions, worst cases and exact costs."""
