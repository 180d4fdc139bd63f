"""``overbank world serve`` as a process: it says where it is, serves, and stops when told."""

import subprocess
import sys

import httpx

COMMAND = "import typer, flows.commands.world as w; app = typer.Typer(); w.register(app); app()"


def test_serve_until_stopped(small_archive):
    arguments = ["world", "serve", str(small_archive.folder), "--port", "0", "--fault", "forbidden"]
    process = subprocess.Popen([sys.executable, "-u", "-c", COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        url = line.split()[-1]
        assert url.startswith("http://127.0.0.1:"), line
        assert httpx.post(f"{url}/search", json={}, timeout=300).status_code == 403
    finally:
        process.terminate()
        process.wait(timeout=300)
        process.stdout.close()
