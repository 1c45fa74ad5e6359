"""How many calls a second an endpoint takes while it keeps its promise."""
