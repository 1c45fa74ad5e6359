"""How content lies at rest: sealed for one purpose and one place."""
