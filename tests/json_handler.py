"""Replies of the HTTP servers that tests run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any


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
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Nothing."""
