"""HTTP servers that speak JSON on a free local port."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class JsonHandler(BaseHTTPRequestHandler):
    """Hands each request's body to `answer`, replies in JSON, and keeps quiet."""

    def do_POST(self) -> None:
        """Read the request."""
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, body: bytes) -> None:
        """Reply to a request."""
        raise NotImplementedError

    def reply(self, status: int, body: Any, headers: Mapping[str, str]) -> None:
        """Send a body; bytes go as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if isinstance(self.server, JsonServer):
            self.server.leave()  # first: the client's next request may be here before this thread goes on
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


class JsonServer(ThreadingHTTPServer):
    """Serves in threads while it is entered; counts requests, and has faults for its handler to work off."""

    daemon_threads = True

    def __init__(self, handler: type[JsonHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.faults: list[str] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.inside: set[int] = set()  # threads with a request under way

    @property
    def url(self) -> str:
        """Address of the OpenAI-compatible part."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    @contextmanager
    def next_fault(self) -> Iterator[str]:
        """The fault of the request that is under way, or "" if it has none."""
        with self.lock:
            self.inside.add(threading.get_ident())
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            fault = self.faults.pop(0) if self.faults else ""
        try:
            yield fault
        finally:
            self.leave()

    def leave(self) -> None:
        """This thread's request is under way no more; does nothing if it was not."""
        with self.lock:
            if threading.get_ident() in self.inside:
                self.inside.remove(threading.get_ident())
                self.at_once -= 1

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up are the point."""
