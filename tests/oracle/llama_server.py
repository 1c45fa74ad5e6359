"""llama.cpp's own HTTP server over a file of weights, until it is ended.

``python -m tests.oracle.llama_server FILE MODEL`` prints its address.
"""

import signal
import sys

import xllamacpp

from tokenbooth.engines.llamacpp.values import LlamacppOptions
from tokenbooth.engines.llamacpp.worker import CONTEXT_DEFAULT_MAX

SLOTS = 1


def main(gguf_path: str, model: str) -> None:
    """Set up as the booth sets up the same engine, so that it computes the same."""
    wanted = xllamacpp.CommonParams()
    wanted.model.path = gguf_path
    wanted.model_alias = {model}
    wanted.n_ctx = CONTEXT_DEFAULT_MAX
    wanted.n_parallel = SLOTS
    wanted.n_batch = wanted.n_ubatch = LlamacppOptions(gguf_path).step_tokens_max
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = 1
    wanted.use_jinja = True
    wanted.prefill_assistant = False
    wanted.verbosity = 0
    wanted.warmup = False
    server = xllamacpp.Server(wanted)
    print(server.listening_address, xllamacpp.__version__, flush=True)
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
