"""What keeps the structure of this repository: rules as tests, and budgets with their figures."""
