"""What bench/pages.sh measures: time and size of each page, how soon an open page knows of a change, and what it costs."""

import gzip
import json
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import threading
import time

from server import Server, ask, history_of, percentile, timed

EXECUTIONS, PARTITIONS, LINES = 100_000, 10_000, 1_000_000
# Partitions of which most never ran, and the last of them.
MOST_PARTITIONS, LAST_OF_MOST = 40_000, "2028-07-24T15:00"
ROUNDS = 40
OPEN_PAGES = 5

HOURS = """id: hours
namespace: bench
triggers:
  - {id: hourly, type: schedule, cron: '0 * * * *', disabled: true}
tasks:
  - {id: one, type: return, format: "{{ trigger.date }}"}
"""


def main(jitney, work):
    history_of(jitney, work, EXECUTIONS)
    give_rows(work / "home" / "journal.db")
    (work / "flows" / "hours.yaml").write_text(HOURS)
    first, last = "2024-01-01T00:00", "2025-02-19T15:00"
    backfill = [jitney, "--home", work / "home", "backfill", work / "flows" / "hours.yaml", "--from", first, "--to", last]
    subprocess.run([*backfill, "--parallel", "8"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(f"{os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; {EXECUTIONS:,} executions, {PARTITIONS:,} partitions, "
          f"a log of {LINES:,} lines\n")
    print("| what | figure | wanted | load average |\n| --- | --- | --- | --- |")
    with Server(jitney, work) as server:
        for what, figure, limit in figures(server, first, last):
            print(f"| {what} | {figure} | {limit} | {os.getloadavg()[0]:.1f} |", flush=True)


def give_rows(file):
    """Lets most executions have loaded rows, which none of these flows does."""
    journal = sqlite3.connect(file, timeout=60)
    with journal:
        journal.execute("UPDATE executions SET rows = 1000 + abs(random()) % 200 WHERE state = 'SUCCESS'")
    journal.close()


def figures(server, first, last):
    connection = server.connect()
    newest = lambda query: json.loads(ask(connection, "GET", f"/api/v1/executions/search?size=1{query}"))["results"][0]["id"]
    failed, long = newest("&state=FAILED"), newest("&flowId=flow7")
    fill_log(server, long)
    middle = LINES // 2
    pages = {
        "overview": "/", "flows": "/flows", "a flow": "/flows/bench/flow7", "the run form": "/flows/bench/flow7/run",
        "the editor": "/flows/bench/flow7/edit",
        "executions": "/executions", "executions that failed": "/executions?state=FAILED",
        "executions by text": "/executions?q=flow7", "the last page of executions": f"/executions?page={EXECUTIONS // 50}",
        "an execution that failed": f"/executions/{failed}",
        "a long log, its end": f"/executions/{long}", "a long log, its middle": f"/executions/{long}?after={middle}",
        "a long log, searched": f"/executions/{long}?q=line+{middle}", "a long log, its errors": f"/executions/{long}?level=ERROR",
        "partitions": f"/flows/bench/hours/partitions?from={first}&to={last}",
        "a backfill's preview": f"/flows/bench/hours/backfill?from={first}&to={last}&only=all",
        f"{MOST_PARTITIONS:,} partitions": f"/flows/bench/hours/partitions?from={first}&to={LAST_OF_MOST}",
        f"the preview of {MOST_PARTITIONS:,}": f"/flows/bench/hours/backfill?from={first}&to={LAST_OF_MOST}&only=missing",
    } | {name: address for name, address in rail(connection) if address not in ("/", "/flows", "/executions")}
    for name, address in pages.items():
        first_time = timed(ask, connection, "GET", address)
        before, times = server.cpu(), []
        for _ in range(ROUNDS):
            times.append(timed(ask, connection, "GET", address))
        figure = (f"first {first_time * 1000:.0f} ms, then p50 {percentile(times, 0.5) * 1000:.1f} ms, p95 {percentile(times, 0.95) * 1000:.1f} ms, "
                  f"{(server.cpu() - before) * 1000 / ROUNDS:.0f} ms CPU, {first_load(connection, address) / 1000:.0f} kB on first load")
        yield name, figure, f"p95 ≤ 50 ms, ≤ {250 if name == 'the editor' else 100} kB"
    yield "a search that finds nothing, to the end of the log", search_to_the_end(connection, long), ""
    yield "memory after all that", f"{server.memory():.0f} MB, {server.memory('VmHWM'):.0f} MB at its peak", ""
    yield "an open page sees a change", live(server), "≤ 300 ms"
    yield f"{OPEN_PAGES} open pages, for each", cost(server), "< 0.2 % of a core"


def rail(connection):
    """Names and addresses of the pages that the rail links to."""
    html = ask(connection, "GET", "/").decode()
    nav = html[html.index("<nav"):html.index("</nav>")]
    return [(name.strip(), address) for address, name in re.findall(r'<a href="([^"]+)"[^>]*>([^<]+)', nav)]


def search_to_the_end(connection, execution):
    """Follows the pages of a search as a browser does."""
    query, pages, began = "?q=nowhere", 0, time.monotonic()
    while query:
        html = ask(connection, "GET", f"/executions/{execution}{query}").decode()
        more = re.search(r'href="(\?[^"]+)#log" data-search-on', html)
        query, pages = more and more.group(1).replace("&#38;", "&").replace("&amp;", "&"), pages + 1
    return f"{time.monotonic() - began:.1f} s, {pages} pages"


def fill_log(server, execution):
    line = "INSERT INTO logs (execution, time, task, level, message) VALUES (?, '2026-01-01T00:00:00.000000Z', 'first', 'INFO', ?)"
    with server.journal() as journal:
        journal.executemany(line, ((execution, f"line {at}") for at in range(LINES)))
    journal.close()


def first_load(connection, address):
    """Bytes that a browser takes for the page and all that it names, packed where the server packs it."""
    html, size = packed(connection, address)
    files = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', html)) | {font for font in fonts(connection, html)}
    return size + sum(packed(connection, file)[1] for file in files)


def fonts(connection, html):
    style = re.search(r'href="(/assets/[^"]+/style\.css)"', html).group(1)
    text, _ = packed(connection, style)
    return [style.rsplit("/", 1)[0] + "/" + name for name in re.findall(r'url\("?\.?/?([\w.-]+\.woff2)', text)]


def packed(connection, address):
    connection.request("GET", address, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, f"{address}: {answer.status}"
    plain = gzip.decompress(body) if answer.getheader("Content-Encoding") == "gzip" else body
    return plain.decode("utf-8", "replace"), len(body)


def live(server):
    """From the start of an execution to the page that shows it."""
    stream = server.connect()
    stream.request("GET", "/live?namespace=bench&flow=flow3")
    answer, heard = stream.getresponse(), threading.Event()

    def listen():
        while line := answer.fp.readline():
            if line.startswith(b"event: change"):
                heard.set()

    threading.Thread(target=listen, daemon=True).start()
    connection, times = server.connect(), []
    for _ in range(20):
        time.sleep(0.5)
        heard.clear()
        began = time.monotonic()
        ask(connection, "POST", "/api/v1/executions/bench/flow3")
        assert heard.wait(10), "the page heard nothing"
        ask(connection, "GET", "/flows/bench/flow3")
        times.append(time.monotonic() - began)
    return f"p50 {percentile(times, 0.5) * 1000:.0f} ms, p95 {percentile(times, 0.95) * 1000:.0f} ms"


def cost(server):
    streams = [server.connect() for _ in range(OPEN_PAGES)]
    quiet = server.idle(20)
    for stream in streams:
        stream.request("GET", "/live?all")
        stream.getresponse()
    return f"{max(server.idle(20) - quiet, 0) / OPEN_PAGES:.2%} of a core (the server alone: {quiet:.2%})"


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
