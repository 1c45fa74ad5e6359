"""One module of table definitions per domain, all on one metadata."""
