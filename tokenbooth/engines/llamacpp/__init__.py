"""llama.cpp over a GGUF, in a process of its own."""
