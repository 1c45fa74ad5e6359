"""Reports of other load tools, read as evidence."""
