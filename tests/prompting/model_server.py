"""A real vLLM OpenAI server on the CPU, and a proxy before it that misbehaves on cue."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from support.json_server import JsonHandler, JsonServer

KEY = "sk-very-secret-0123456789"


@contextmanager
def vllm_server(model: Path, log: Path) -> Iterator[str]:
    """Address of a server that holds `model` under the name "roles" and wants the key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
    command += ["--served-model-name", "roles", "--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    # the key by the environment: a process list shows arguments
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_API_KEY": KEY}
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            deadline = time.monotonic() + 400
            while not _is_up(address):
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(1)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _is_up(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def server_tokens(address: str) -> tuple[int, int]:
    """Prompt and completion tokens that the server has counted since its start."""
    lines = httpx.get(f"{address}/metrics", headers={"Authorization": f"Bearer {KEY}"}).text.splitlines()
    counted = [
        sum(float(line.split()[-1]) for line in lines if line.startswith(f"vllm:{name}_tokens_total{{"))
        for name in ("prompt", "generation")
    ]
    return int(counted[0]), int(counted[1])


class Proxy(JsonServer):
    """Hands requests on, after working off `faults`, one a request; a faulty request never reaches the server."""

    def __init__(self, address: str) -> None:
        super().__init__(_Handler)
        self.address = address
        self.delay = 0.0
        self.requests = 0
        self.bodies: list[Any] = []


class _Handler(JsonHandler):
    server: Proxy

    def answer(self, body: bytes) -> None:
        proxy = self.server
        with proxy.lock:
            proxy.requests += 1
        with proxy.next_fault() as fault:
            time.sleep(proxy.delay)
            self._work_off(fault, body)

    def _work_off(self, fault: str, body: bytes) -> None:
        if fault == "cut":
            self.connection.close()
        elif fault == "slow":
            time.sleep(4)
        elif fault:
            message = {"error": {"message": f"broken {self.headers['Authorization']}"}}
            self.reply(int(fault), message, {"Retry-After": "1"} if fault == "429" else {})
        else:
            headers = {"Authorization": self.headers["Authorization"], "Content-Type": "application/json"}
            reply = httpx.post(self.server.address + self.path, content=body, headers=headers, timeout=60)
            with self.server.lock:
                self.server.bodies.append(json.loads(body))
            self.reply(reply.status_code, reply.content, {})
