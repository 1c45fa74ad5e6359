"""Pages of documents and frames of videos, drawn in a process of its own."""
