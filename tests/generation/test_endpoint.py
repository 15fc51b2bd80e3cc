"""The endpoint back end against a real HTTP server that misbehaves on cue."""

import json
import logging
import time
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from support.json_server import JsonHandler, JsonServer

from selfrl.generation import Sampling
from selfrl.generation.endpoint import EndpointGenerator

KEY = "sk-very-secret-0123456789"


class Server(JsonServer):
    """Answers "echo: <prompt>" after working off `faults`, one a request."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.keys: set[str | None] = set()
        self.max_n = 99


class Handler(JsonHandler):
    server: Server

    def answer(self, body: bytes) -> None:
        asked = json.loads(body)
        server = self.server
        with server.lock:
            server.requests.append(asked)
            server.times.append(time.monotonic())
            server.keys.add(self.headers.get("Authorization"))
        with server.next_fault() as fault:
            time.sleep(0.02)
        if fault == "cut":
            self.connection.close()
        elif fault == "slow":
            time.sleep(3)
        elif fault == "429":
            self.reply(429, {"error": {"message": "slow down"}}, {"Retry-After": "1"})
        elif fault == "garbage":
            self.reply(200, "<html>", {})
        elif fault in ("empty", "null"):
            self.reply(200, {"id": "1", "choices": [] if fault == "empty" else None}, {})
        elif fault == "thinking":  # cut off before the answer, with the reasoning kept apart
            message = {"role": "assistant", "content": None, "reasoning_content": "hm"}
            self.reply(200, {"id": "1", "choices": [{"index": 0, "finish_reason": "length", "message": message}]}, {})
        elif fault:  # as some servers do, the error echoes the key
            self.reply(int(fault), {"error": {"message": f"broken {self.headers.get('Authorization')}"}}, {})
        else:
            text = "echo: " + asked["messages"][-1]["content"]
            n = min(asked["n"], server.max_n)
            choices = [
                {"index": i, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                for i in range(n)
            ]
            usage = {"prompt_tokens": 7, "completion_tokens": 5 * n, "total_tokens": 7 + 5 * n}
            self.reply(
                200,
                {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 0,
                    "model": "m",
                    "choices": choices,
                    "usage": usage,
                },
                {},
            )


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        yield running


def client(server: Server, monkeypatch: pytest.MonkeyPatch, **options: Any) -> EndpointGenerator:
    monkeypatch.setenv("SELFRL_TEST_KEY", KEY)
    return EndpointGenerator("m", server.url, "SELFRL_TEST_KEY", **options)


def test_answers_come_in_order_with_tokens_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = client(server, monkeypatch)
    prompts = [f"q{i}" for i in range(12)]
    groups = endpoint.generate(prompts, Sampling(n=2, max_tokens=9, temperature=0.3, top_p=0.8, seed=4, stop=("Q:",)))
    assert [[g.text for g in group] for group in groups] == [[f"echo: {p}"] * 2 for p in prompts]
    assert (endpoint.usage.prompt_tokens, endpoint.usage.completion_tokens) == (7 * 12, 10 * 12)
    assert groups[0][0].completion_tokens == 5
    sent = server.requests[0]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0.3, 0.8, 9)
    assert sent["stop"] == ["Q:"]
    assert server.keys == {f"Bearer {KEY}"}


def test_conversations_go_as_they_are(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "q"}]
    client(server, monkeypatch).generate([conversation], Sampling())
    assert server.requests[0]["messages"] == conversation


def test_an_endpoint_that_gives_one_at_a_time_is_asked_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.max_n = 1
    groups = client(server, monkeypatch).generate(["q"], Sampling(n=3, seed=10))
    assert len(groups[0]) == 3
    seeds = [request["seed"] for request in server.requests]
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]


def test_equal_prompts_of_one_call_are_sampled_apart_and_alike_again(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = client(server, monkeypatch, concurrency=1)
    for _ in range(2):
        endpoint.generate(["q"] * 4, Sampling(n=2, seed=10))
    seeds = [request["seed"] for request in server.requests]
    assert seeds[:4] == seeds[4:]
    assert min(abs(a - b) for i, a in enumerate(seeds[:4]) for b in seeds[:i]) > 2
    endpoint.generate(["q"], Sampling(seed=11))
    endpoint.generate(["q"], Sampling())
    assert server.requests[-2]["seed"] not in seeds
    assert "seed" not in server.requests[-1]


@pytest.mark.parametrize("fault", ["500", "503", "cut", "slow"])
def test_faults_are_retried(server: Server, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    server.faults = [fault, fault]
    endpoint = client(server, monkeypatch, timeout_s=0.5)
    assert endpoint.generate(["q"], Sampling())[0][0].text == "echo: q"
    assert (endpoint.usage.requests, endpoint.usage.retries, endpoint.usage.failures) == (3, 2, 0)


def test_retry_after_is_honoured(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["429"]
    assert client(server, monkeypatch).generate(["q"], Sampling())[0]
    assert server.times[1] - server.times[0] >= 1.0


def test_what_fails_to_the_end_is_an_empty_group_and_counted(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["500"] * 2
    endpoint = client(server, monkeypatch, attempts=2, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling())
    assert groups[0] == []
    assert groups[1][0].text == "echo: b"
    assert endpoint.usage.failures == 1


def test_a_refused_prompt_fails_alone_and_is_not_tried_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["400"]
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["too long", "fine"], Sampling())
    assert groups[0] == []
    assert groups[1][0].text == "echo: fine"
    assert (endpoint.usage.failures, len(server.requests)) == (1, 2)


def test_an_endpoint_that_refuses_n_is_asked_for_one_at_a_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.faults = ["400"]
    server.max_n = 1
    assert len(client(server, monkeypatch).generate(["q"], Sampling(n=2))[0]) == 2


@pytest.mark.parametrize("fault", ["garbage", "empty", "null"])
def test_a_broken_reply_is_a_failure(server: Server, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    server.faults = [fault]
    endpoint = client(server, monkeypatch, concurrency=1)
    groups = endpoint.generate(["a", "b"], Sampling())
    assert groups[0] == []
    assert groups[1][0].text == "echo: b"
    assert endpoint.usage.failures == 1


def test_a_completion_cut_off_in_its_reasoning_is_empty_and_stays(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults = ["thinking"]
    endpoint = client(server, monkeypatch, concurrency=1)
    ((cut, whole),) = endpoint.generate(["a"], Sampling(n=2))
    assert (cut.text, cut.finish_reason) == ("", "length")
    assert whole.text == "echo: a"
    assert endpoint.usage.failures == 0


@pytest.mark.parametrize("status", ["401", "404"])
def test_a_wrong_key_or_model_ends_in_a_sentence(server: Server, monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    server.faults = [status]
    with pytest.raises(ValueError, match=f"answered {status}: check its address"):
        client(server, monkeypatch).generate(["q"], Sampling())


@pytest.mark.parametrize(("key", "message"), [("", "holds no key"), ("sk-ключ", "no header can carry")])
def test_a_key_that_cannot_be_sent_is_refused_at_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, key: str, message: str
) -> None:
    monkeypatch.setenv("SELFRL_TEST_KEY", key)
    with pytest.raises(ValueError, match=message) as caught:
        EndpointGenerator("m", server.url, "SELFRL_TEST_KEY")
    assert not key or key not in str(caught.value)


def test_a_key_with_a_line_break_is_sent_without_it(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = client(server, monkeypatch)
    monkeypatch.setenv("SELFRL_TEST_KEY", KEY + "\n")
    assert endpoint.generate(["q"], Sampling())[0]
    assert server.keys == {f"Bearer {KEY}"}


def test_concurrency_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    client(server, monkeypatch, concurrency=3).generate([f"q{i}" for i in range(20)], Sampling())
    assert 2 <= server.most_at_once <= 3


def test_the_key_shows_nowhere(
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    server.faults = ["500", "401"]
    endpoint = client(server, monkeypatch, attempts=3)
    with pytest.raises(ValueError, match="401") as caught:
        endpoint.generate(["q"], Sampling())
    printed = capsys.readouterr()
    shown = [
        caplog.text,
        printed.out,
        printed.err,
        repr(endpoint),
        repr(vars(endpoint)),
        str(caught.value),
        repr(caught.value),
        *traceback.format_exception(caught.value),
    ]
    assert not [text for text in shown if KEY in text]


def test_an_endpoint_needs_an_address_or_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ValueError, match="give a base URL"):
        EndpointGenerator("m")
