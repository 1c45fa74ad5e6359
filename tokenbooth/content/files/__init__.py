"""Files that a project uploads for later use."""
