"""Writes the weights of a GGUF file the way vLLM reads them; run by the Python that has vLLM.

``python to_safetensors.py FILE FOLDER``
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

# What is said of the file's own form would stop the model from being saved.
LEFT_OUT = ("quantization_config", "_name_or_path")


def main(gguf: Path, folder: Path) -> None:
    where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
    read = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16)
    kept = {name: value for name, value in read.config.to_dict().items() if name not in LEFT_OUT}
    plain = LlamaForCausalLM(LlamaConfig(**kept)).to(torch.bfloat16)
    plain.load_state_dict(read.state_dict())
    plain.tie_weights()
    plain.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**where).save_pretrained(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
