"""How a model comes to the public and leaves it: stages, cohorts, evidence, gates, promises."""
