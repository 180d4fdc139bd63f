"""Many runs fail at once on a desk as shipped, on SQLite: every failure is told once, also when the webhook is away.

Usage: python -m benchmarks.soak.burst FOLDER [--bursts 30 12 6] [--away 60]

A desk is started in FOLDER with a webhook on loopback. Then, for each burst, so many runs fail side by side (each in a
thread, against the desk's server), while the desk's own services go on. The first burst comes once more, and the
webhook answers 503 for ``--away`` seconds. Prints one line of JSON a burst: runs, messages received, copies, seconds
until the last, dead letters; the exit code is 1 where a message lacks or came twice, or a dead letter is left.
"""

import argparse
import collections
import http.server
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.soak.runs import free_port
from flows.desk.services import Desk
from flows.desk.start import start_detached, stop
from pipeline_lib.errors import OverbankError
from pipeline_lib.steps.outbox import dead_letters

LONGEST_S = 300.0


class Webhook(http.server.BaseHTTPRequestHandler):
    """Keeps what it is sent, or answers 503 while it is away."""

    received: collections.Counter[str] = collections.Counter()
    away_until = 0.0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        away = time.time() < Webhook.away_until
        if not away:
            Webhook.received[json.loads(body)["subject"]] += 1
        self.send_response(503 if away else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


def burst(out: Path, name: str, count: int, away_s: float = 0.0) -> dict[str, Any]:
    """Let ``count`` runs fail at once and wait until each was told."""
    from prefect import flow, tags

    @flow
    def fails():
        raise OverbankError("the archive is down")

    def one(number: int) -> None:
        with tags("mapping"):
            fails.with_options(flow_run_name=f"{name}-{number}")(return_state=True)

    Webhook.away_until = time.time() + away_s
    begin = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(one, range(count)))
    failed = time.monotonic()
    wanted = {f"Run {name}-{number} Failed" for number in range(count)}
    while wanted - Webhook.received.keys() and time.monotonic() < failed + away_s + LONGEST_S:
        time.sleep(0.5)
    told = time.monotonic()
    time.sleep(15)  # a copy would come with the next rounds
    mine = {subject: Webhook.received[subject] for subject in wanted if Webhook.received[subject]}
    return {
        "runs": count,
        "webhook_away_s": away_s,
        "received": len(mine),
        "copies": sum(mine.values()) - len(mine),
        "seconds_to_fail": round(failed - begin, 1),
        "seconds_until_told": round(told - failed, 1),
        "dead_letters": len(dead_letters(out)),
    }


def main() -> int:
    """Run the bursts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bursts", type=int, nargs="+", default=[30, 12, 6])
    parser.add_argument("--away", type=float, default=60.0)
    chosen = parser.parse_args()
    desk = Desk(out=chosen.folder.resolve(), port=free_port(), pages_port=free_port())
    webhook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
    threading.Thread(target=webhook.serve_forever, daemon=True).start()
    start_detached(desk)
    try:
        os.environ.update({name: value for name, value in desk.environment.items() if name.startswith("PREFECT_")})
        os.environ["PREFECT_LOGGING_LEVEL"] = "CRITICAL"
        from flows.notify import blocks

        blocks.add("duty", "webhook", f"http://127.0.0.1:{webhook.server_address[1]}/", ("failure",))
        results = [burst(desk.out, f"burst{number}", count) for number, count in enumerate(chosen.bursts)]
        results.append(burst(desk.out, "away", chosen.bursts[0], chosen.away))
    finally:
        stop(desk)
    for one in results:
        sys.stdout.write(json.dumps(one) + "\n")
    return int(any(one["received"] < one["runs"] or one["copies"] or one["dead_letters"] for one in results))


if __name__ == "__main__":
    sys.exit(main())
