"""Static embeddings: a table with one row for each token of a vocabulary."""
