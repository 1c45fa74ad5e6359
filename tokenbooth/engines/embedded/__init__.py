"""OpenVINO GenAI over a GGUF, in a process of its own."""
