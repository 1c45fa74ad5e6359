"""Rules over the source text; each is a pure function from a parsed file to findings."""
