"""Models on offer and the deployments that answer for them."""
