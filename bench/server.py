"""The parts of bench/server.sh: each starts what it measures, and gives rows of (what, figure, wanted)."""

import datetime
import http.client
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
TICKS = os.sysconf("SC_CLK_TCK")
IDLE_SECONDS = float(os.environ.get("SECONDS_IDLE", "60"))

NO_OPS = """id: {id}
namespace: bench
labels:
  team: data
inputs:
  - {{id: month, type: STRING, defaults: "01"}}
tasks:
  - {{id: first, type: return, format: "month {{{{ inputs.month }}}}"}}
  - {{id: second, type: log, message: "{{{{ outputs.first.value }}}}"}}
"""
SCHEDULE = """triggers:
  - {{id: when, type: schedule, cron: "{cron}"}}
"""
LOOP = """id: loop
namespace: bench
tasks:
  - id: each
    type: for_each
    values: "{{{{ range(1, {count}) }}}}"
    tasks:
      - {task}
"""


def main(jitney, work, wanted):
    parts = {"idle": idle, "schedules": schedules, "flow": flow, "rate": rate, "history": history, "loop": loop,
             "sweep": sweep}
    unknown = [name for name in wanted if name not in parts]
    if unknown:
        sys.exit(f"there is no part {unknown[0]}; there is {', '.join(parts)}")
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"{os.cpu_count()} cores ({processor}), {time.strftime('%Y-%m-%d')}\n")
    print("| what | figure | wanted | load average |\n| --- | --- | --- | --- |")
    for name in wanted or parts:
        folder = work / name
        folder.mkdir()
        for what, figure, limit in parts[name](jitney, folder):
            print(f"| {what} | {figure} | {limit} | {os.getloadavg()[0]:.1f} |", flush=True)


class Server:
    """A server that answers, and what it has used."""

    def __init__(self, jitney, folder, *more):
        self.home, self.flows = folder / "home", folder / "flows"
        self.home.mkdir(exist_ok=True)
        self.flows.mkdir(exist_ok=True)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        command = [jitney, "--home", self.home, "server", "--flows", self.flows, "--listen", f"127.0.0.1:{self.port}"]
        began = time.monotonic()
        self.log = open(folder / "log", "ab")
        self.process = subprocess.Popen([*command, *more], cwd=self.home, stdout=self.log, stderr=self.log)
        while not self.answers():
            if self.process.poll() is not None:
                sys.exit(f"the server has ended:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.002)
        self.start_seconds = time.monotonic() - began
        self.start_cpu = self.cpu()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def answers(self):
        try:
            return bool(ask(self.connect(), "GET", "/health"))
        except OSError:
            return False

    def cpu(self):
        """Seconds of CPU time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, what="VmRSS"):
        """Megabytes."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1000

    def journal(self):
        return sqlite3.connect(self.home / "journal.db", timeout=60)

    def until_idle(self):
        connection = self.connect()
        while True:
            load = json.loads(ask(connection, "GET", "/health"))["load"]
            if load["running"] + load["queued"] == 0:
                return
            time.sleep(0.05)

    def idle(self, seconds=None):
        """The share of a core that it takes while nothing happens."""
        time.sleep(2)
        before, began = self.cpu(), time.monotonic()
        time.sleep(seconds or IDLE_SECONDS)
        return (self.cpu() - before) / (time.monotonic() - began)


def ask(connection, method, path):
    """The answer; anything but a good one ends the measuring."""
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, f"{method} {path}: {answer.status} {body}"
    return body


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


def spread(seconds):
    """The middle, and what one in a hundred exceeds."""
    return f"p50 {percentile(seconds, 0.5) * 1000:.1f} ms, p99 {percentile(seconds, 0.99) * 1000:.1f} ms"


def timed(call, *arguments):
    began = time.monotonic()
    call(*arguments)
    return time.monotonic() - began


def write_flows(folder, count, cron=None):
    (folder / "flows").mkdir(exist_ok=True)
    for number in range(count):
        text = NO_OPS.format(id=f"flow{number}")
        text += SCHEDULE.format(cron=cron) if cron else ""
        (folder / "flows" / f"flow{number}.yaml").write_text(text)


def idle(jitney, work):
    for count in (10, 1000):
        folder = work / str(count)
        folder.mkdir()
        write_flows(folder, count)
        with Server(jitney, folder) as server:
            first = server.start_seconds
        with Server(jitney, folder) as server:
            yield f"start with {count:,} flows until /health answers", f"{server.start_seconds:.2f} s (first time {first:.2f} s)", "< 1 s"
            share = server.idle()
            yield f"idle with {count:,} flows", f"{server.memory():.0f} MB, {share:.2%} of a core", "< 60 MB"


def schedules(jitney, work):
    # An hourly one whose minute has just passed.
    minute = (time.gmtime().tm_min - 2) % 60
    for name, cron in (("monthly", "0 9 1 * *"), ("hourly", f"{minute} * * * *")):
        folder = work / name
        folder.mkdir()
        write_flows(folder, 10_000, cron)
        with Server(jitney, folder) as server:
            first = server.start_seconds
        with Server(jitney, folder) as server:
            figure = f"{server.start_seconds:.1f} s, {server.start_cpu:.1f} s CPU (first time {first:.1f} s)"
            yield f"start with 10,000 {name} flows", figure, ""
            share = server.idle()
            yield f"10,000 {name} flows, over {IDLE_SECONDS:.0f} s", f"{share:.2%} of a core, {server.memory():.0f} MB", "< 5 %"


def flow(jitney, work):
    write_flows(work, 1)
    file = work / "flows" / "flow0.yaml"
    run = [jitney, "--home", work / "home", "run", file]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    subprocess.run(run, **quiet)
    runs, checks = [], []
    for _ in range(100):
        runs.append(timed(lambda: subprocess.run(run, **quiet)))
        checks.append(timed(lambda: subprocess.run([jitney, "validate", file], **quiet)))
    more = percentile(runs, 0.5) - percentile(checks, 0.5)
    figure = f"{more * 1000:.1f} ms ({percentile(runs, 0.5) * 1000:.1f} less {percentile(checks, 0.5) * 1000:.1f} ms)"
    yield "two no-ops: `jitney run` beyond `jitney validate`", figure, "< 5 ms"
    with Server(jitney, work) as server:
        connection = server.connect()
        start = lambda: ask(connection, "POST", "/api/v1/executions/bench/flow0?wait=true")
        asked = [timed(start) for _ in range(1000)]
        yield "two no-ops: POST with wait=true, until the answer is here", spread(asked[100:]), "< 5 ms"


def submit(server, count, threads=4):
    def some(number):
        connection = server.connect()
        for _ in range(number):
            ask(connection, "POST", "/api/v1/executions/bench/flow0")

    workers = [threading.Thread(target=some, args=(count // threads,)) for _ in range(threads)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]


def rate(jitney, work, count=5000):
    write_flows(work, 1)
    with Server(jitney, work) as server:
        before, began = server.cpu(), time.monotonic()
        submit(server, count)
        server.until_idle()
        seconds, cpu = time.monotonic() - began, server.cpu() - before
        runs = 2 * count
        figure = f"{runs / seconds:,.0f} a second, {cpu / runs * 1000:.2f} ms CPU each"
        yield f"{runs:,} task runs of {count:,} executions, called for one by one", figure, "> 500 a second"
        yield "of each task run, from what was before it to its end", spread(list(overheads(server))), ""
        yield "memory after that", f"{server.memory():.0f} MB, {server.memory('VmHWM'):.0f} MB at its peak", ""


def overheads(server):
    """Seconds from the event before a task run's start to its end."""
    sql = """SELECT before.time, done.time FROM events AS done
             JOIN events AS before ON before.execution = done.execution AND before.number = done.number - 2
             WHERE done.body LIKE '{"kind":"task_succeeded"%'"""
    for times in server.journal().execute(sql):
        before, done = map(datetime.datetime.fromisoformat, (time.rstrip("Z") for time in times))
        yield (done - before).total_seconds()


def history_of(jitney, work, count):
    """A home with so many executions: some real ones, and copies of them at earlier times."""
    write_flows(work, 20)
    broken = NO_OPS.format(id="broken") + "  - {id: third, type: fail}\n"
    (work / "flows" / "broken.yaml").write_text(broken)
    with Server(jitney, work) as server:
        connection = server.connect()
        for number in range(200):
            name = "broken" if number % 20 == 0 else f"flow{number % 20}"
            labels = f"?labels=month:{number % 12}"
            ask(connection, "POST", f"/api/v1/executions/bench/{name}{labels}")
        server.until_idle()
    with server.journal() as journal:
        copy(journal, count)
    journal.close()


def copy(journal, count):
    """Adds copies of all executions, each four hours older, until there are so many."""
    ids = [row[0] for row in journal.execute("SELECT id FROM executions ORDER BY id")]
    journal.execute("CREATE TEMP TABLE pairs (old TEXT PRIMARY KEY, new TEXT)")
    for turn in range(1, count // len(ids)):
        hours = 4 * turn
        moved = lambda column: f"strftime('%Y-%m-%dT%H:%M:%f000Z', {column}, '-{hours} hours')"
        journal.execute("DELETE FROM pairs")
        journal.executemany("INSERT INTO pairs VALUES (?, ?)", [(old, earlier(old, hours)) for old in ids])
        for table, key, times in (("executions", "id", ("created", "started", "ended")),
                                  ("events", "execution", ("time",)), ("logs", "execution", ("time",))):
            columns = [row[1] for row in journal.execute(f"PRAGMA table_info({table})")]
            values = ["new" if name == key else moved(name) if name in times else name for name in columns]
            journal.execute(f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} "
                            f"FROM pairs CROSS JOIN {table} ON {key} = old")


def earlier(id, hours):
    """An execution's id begins with its time: nine digits in base 32."""
    millis = sum(DIGITS.index(digit) * 32 ** place for place, digit in enumerate(reversed(id[:9]))) - hours * 3_600_000
    return "".join(DIGITS[millis // 32 ** place % 32] for place in reversed(range(9))) + id[9:]


def history(jitney, work, count=100_000):
    history_of(jitney, work, count)
    with Server(jitney, work) as server:
        yield f"start with {count:,} executions", f"{server.start_seconds:.2f} s", "< 1 s"
        share = server.idle()
        yield f"idle with {count:,} executions", f"{server.memory():.0f} MB, {share:.2%} of a core", "< 60 MB"
        connection = server.connect()
        some = json.loads(ask(connection, "GET", "/api/v1/executions/search?size=1&page=50000"))["results"][0]["id"]
        searches = {"the newest": "", "by state": "state=FAILED", "by state, most of them": "state=SUCCESS",
                    "by flow": "flowId=flow7", "by namespace": "namespace=bench", "by label": "labels=month:7",
                    "by flow and state": "flowId=broken&state=FAILED", "by time": "startDate=2020-01-01T00:00:00Z",
                    "by text, an id": f"q={some}", "by text, a flow": "q=flow7", "by text, nothing": "q=nowhere",
                    "the last page": f"page={count // 25}&size=25", "a page of 100": "size=100"}
        for name, query in searches.items():
            path = f"/api/v1/executions/search?{query}"
            ask(connection, "GET", path)
            before = server.cpu()
            asked = [timed(ask, connection, "GET", path) for _ in range(50)]
            figure = f"{spread(asked)}, {(server.cpu() - before) * 20:.0f} ms CPU each"
            yield f"GET /executions/search of {count:,}: {name}", figure, "< 50 ms"
        quiet = {"stdout": subprocess.DEVNULL, "check": True}
        command = [jitney, "--home", server.home, "executions"]
        for name, more in (("", []), (" --flow flow7", ["--flow", "flow7"])):
            listed = [timed(lambda: subprocess.run([*command, *more], **quiet)) for _ in range(20)]
            yield f"`jitney executions{name}` of {count:,}, the whole process", spread(listed), "< 50 ms"
        start = lambda: ask(connection, "POST", "/api/v1/executions/bench/flow0?wait=true")
        figure = spread([timed(start) for _ in range(300)])
        yield f"two no-ops beside {count:,}: POST with wait=true", figure, "< 5 ms"


def loop(jitney, work):
    for name, task in (("return", '{id: one, type: return, format: "{{ taskrun.value }}"}'),
                       ("log", '{id: one, type: log, message: "{{ taskrun.value }}"}')):
        for count in (1000, 10_000):
            file = work / "loop.yaml"
            file.write_text(LOOP.format(count=count, task=task))
            command = [jitney, "--home", work / f"{name}{count}", "run", file, "--json"]
            began = time.monotonic()
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode == 0, process.returncode
            seconds = time.monotonic() - began
            figure = f"{seconds:.2f} s, {used.ru_utime + used.ru_stime:.2f} s CPU, {used.ru_maxrss / 1000:.0f} MB at its peak"
            yield f"for_each of {count:,} × {name}", figure, ""


def sweep(jitney, work, count=100_000, folders=20_000):
    history_of(jitney, work, count)
    with sqlite3.connect(work / "home" / "journal.db") as journal:
        # The oldest: their files go too.
        ids = [row[0] for row in journal.execute("SELECT id FROM executions ORDER BY id LIMIT ?", [folders])]
    for id in ids:
        folder = work / "home" / "storage" / id
        folder.mkdir(parents=True)
        for number in range(5):
            (folder / f"{number}.csv").write_text("a,b\n1,2\n")
    (work / "home" / "jitney.yaml").write_text("retention: {files: 365d}\n")
    with Server(jitney, work) as server:
        connection = server.connect()
        before = server.cpu()
        scrapes = [timed(ask, connection, "GET", "/metrics") for _ in range(10)]
        figure = f"first {scrapes[0] * 1000:.0f} ms, then {spread(scrapes[1:])}; {server.cpu() - before:.1f} s CPU for 10"
        yield f"/metrics beside {folders * 5:,} files and {count:,} executions", figure, ""
    (work / "home" / "jitney.yaml").write_text("retention: {executions: 30d, files: 1d}\n")
    old = "SELECT count(*) FROM executions WHERE ended < strftime('%Y-%m-%d', 'now', '-30 days')"
    with sqlite3.connect(work / "home" / "journal.db") as journal:
        removed = journal.execute(old).fetchone()[0]
    with Server(jitney, work) as server:
        connection, answers, starts, began = server.connect(), [], [], time.monotonic()
        while left := (server.journal().execute(old).fetchone()[0] or len(list((server.home / "storage").iterdir()))):
            answers.append(timed(ask, connection, "GET", "/health"))
            starts.append(timed(ask, connection, "POST", "/api/v1/executions/bench/flow0?wait=true"))
            time.sleep(0.05)
            assert time.monotonic() - began < 900, f"{left} are left"
        figure = f"{time.monotonic() - began:.0f} s, {server.cpu():.1f} s CPU"
        yield f"a sweep that removes {removed:,} executions and {folders * 5:,} files", figure, ""
        yield "GET /health during that", f"{spread(answers)}, at most {max(answers) * 1000:.0f} ms", ""
        yield "two no-ops during that", f"{spread(starts)}, at most {max(starts) * 1000:.0f} ms", ""


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:])
