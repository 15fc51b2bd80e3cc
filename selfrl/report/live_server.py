"""The page of runs that are under way, on this machine alone."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from selfrl.report.page import as_json, render
from selfrl.report.report_data import report_data
from selfrl.report.run_data import read_data, watched_files
from selfrl.report.run_folders import find_runs

HOST = "127.0.0.1"
LIVE_ROWS = 5_000  # sent anew with each step


class LivePage:
    """The newest data of some folders; read anew only when a file has changed.

    Args:
        paths: as [`selfrl.report.run_folders.find_runs`] takes them; runs that appear later are shown, too.
        title: of the page.
    """

    def __init__(self, paths: Sequence[Path], title: str) -> None:
        self.paths, self.title = paths, title
        self._lock = threading.Lock()
        self._tag, self._data = "", b""

    def data(self) -> tuple[str, bytes]:
        """(tag, JSON); the tag changes with the files."""
        with self._lock:
            folders = find_runs(self.paths)
            tag = _tag(watched_files(folders))
            if tag != self._tag:
                self._data = as_json(report_data(list(map(read_data, folders)), LIVE_ROWS)).encode()
                self._tag = tag
            return self._tag, self._data

    def page(self) -> bytes:
        """The page with the data of now."""
        runs = list(map(read_data, find_runs(self.paths)))
        return render(report_data(runs, LIVE_ROWS), self.title, live=True).encode("utf-8", "replace")


def live_server(page: LivePage, port: int = 0) -> ThreadingHTTPServer:
    """A server on 127.0.0.1 that answers GET / and GET /data.json, and nothing else.

    A request under another name than 127.0.0.1 or localhost is refused: a web page elsewhere can give its own name
    this machine's address, and would then be let in by the browser.

    Args:
        page: what it shows.
        port: 0 takes a free one, see `server_port`.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Host") not in {f"{name}:{self.server.server_port}" for name in (HOST, "localhost")}:  # type: ignore[attr-defined]
                return self._answer(403, "text/plain", b"This page is for this machine alone.")
            try:
                if self.path == "/":
                    return self._answer(200, "text/html; charset=utf-8", page.page())
                if self.path == "/data.json":
                    return self._data()
            except (ValueError, OSError) as error:  # a file is being replaced: the page asks again
                return self._answer(503, "text/plain; charset=utf-8", str(error).encode("utf-8", "replace"))
            return self._answer(404, "text/plain", b"Nothing is here.")

        def _data(self) -> None:
            tag, data = page.data()
            if self.headers.get("If-None-Match") == tag:
                return self._answer(304, "application/json", b"", tag)
            return self._answer(200, "application/json", data, tag)

        def _answer(self, status: int, kind: str, body: bytes, tag: str | None = None) -> None:
            self.send_response(status)
            headers = {"Content-Type": kind, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
            headers |= {"Cross-Origin-Resource-Policy": "same-origin", "X-Frame-Options": "DENY"}
            headers |= {"Content-Length": str(len(body))} if status != 304 else {}
            headers |= {"ETag": tag} if tag else {}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a page asks every few seconds."""

    return ThreadingHTTPServer((HOST, port), Handler)


def _tag(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.exists():
            stat = file.stat()
            digest.update(f"{file} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return f'"{digest.hexdigest()[:32]}"'
