"""Reads a GGUF file's metadata: context window, tokenizer and chat template."""
