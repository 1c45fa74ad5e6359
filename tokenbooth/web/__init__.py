"""The account API: routes without decisions."""
