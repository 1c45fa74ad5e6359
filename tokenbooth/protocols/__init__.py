"""Pure wire formats: bytes to Turn, Delta to bytes; one file or folder per dialect."""
