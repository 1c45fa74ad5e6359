"""Models, their deployments and their weights."""
