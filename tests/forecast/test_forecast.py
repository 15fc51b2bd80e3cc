"""The command, for real on the packaged model, and what it refuses before a model loads."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.json_server import JsonHandler, JsonServer

from selfrl.cli import main
from selfrl.data.tiny import tiny_problems

QUICK = ["--n", "8", "--max-tokens", "40", "--batch-size", "512"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(out: Path, *flags: str) -> dict[str, Any]:
    assert main(["forecast", "tiny", *flags, *QUICK, "--out", str(out)]) == 0
    found: dict[str, Any] = json.loads((out / "forecast.json").read_text())
    return found


def test_the_packaged_model_gains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = run(tmp_path, "tiny", "--prompts", "40")
    assert (found["agreement"]["prompts"], found["labelled"], found["pairs"]["pairs"]) == (40, 40, 40)
    assert 0.5 < found["truth"]["avg"]["value"] < 0.8 < found["truth"]["maj"]["value"]
    vote = found["outlooks"]["MajorityVoteReward"]
    assert (vote["sign"], vote["firm"]) == ("gain", True)
    assert found["confidence"]["self_certainty"] == "loss"
    assert {row["signal"] for row in found["signals"]} >= {"vote_share", "length", "probability", "self_certainty"}
    assert found["cost"]["forecast"]["completions"] == 40 * 2 * 8
    assert found["cost"]["training"]["completions"] == 100 * 128
    shown = capsys.readouterr().out
    assert "a gain expected" in shown
    assert "Take MajorityVoteReward" in shown
    again = run(tmp_path, "tiny", "--prompts", "40")  # from the cache
    assert again == found


def test_few_labels_and_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**row, "answer": row["answer"] if i < 3 else None} for i, row in enumerate(tiny_problems("train", 20))]
    few, none = tmp_path / "few.jsonl", tmp_path / "none.jsonl"
    few.write_text("".join(json.dumps(row) + "\n" for row in rows))
    none.write_text("".join(json.dumps({"prompt": row["prompt"]}) + "\n" for row in rows))
    found = run(tmp_path / "few", str(few))
    assert (found["labelled"], found["truth"]["avg"]["prompts"], found["agreement"]["prompts"]) == (3, 3, 20)
    assert found["signals"][0]["completions"] <= 3 * 8
    capsys.readouterr()
    found = run(tmp_path / "none", str(none))
    assert (found["truth"], found["outlooks"], found["signals"], found["pairs"]) == (None, {}, [], None)
    shown = capsys.readouterr().out
    assert "no sign" in shown
    assert "Label some 100" in shown


def test_a_prompt_is_asked_as_training_asks_it(tmp_path: Path) -> None:
    system = tmp_path / "system.txt"
    system.write_text("Be brief.")
    found = run(tmp_path, "tiny", "--prompts", "4", "--prompt", str(system))
    plain = run(tmp_path, "tiny", "--prompts", "4")
    assert found["agreement"]["prompt_tokens"] > plain["agreement"]["prompt_tokens"]


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["tiny", "--n", "1"], "--n is 1"),
        (["tiny", "--temperature", "0"], "--temperature is 0"),
        (["tiny", "--prompts", "0"], "--prompts is 0"),
        (["tiny", "--steps", "0"], "--steps is 0"),
        (["none.jsonl"], "none.jsonl does not exist"),
        (["tiny", "--prompt-column", "question"], "no column 'question'"),
        (["tiny", "--prompt", "none.txt"], "none.txt does not exist"),
        (["tiny", "--collapse-step"], "name one with --out"),
        (["tiny", "--collapse-step", "0", "--out", "x"], "1 step or more"),
        (["tiny", "--prompts", "7", "--collapse-step", "--out", "x"], "7 of the prompts have an `answer`"),
        (["tiny", "--collapse-step", "--out", "x", "--backend", "endpoint"], "give its folder"),
    ],
)
def test_bad_input_is_refused_before_a_model_loads(
    flags: list[str], error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", lambda *a, **k: pytest.fail("loaded"))
    assert main(["forecast", "tiny", *flags]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("selfrl forecast: ")
    assert error in shown
    assert shown.count("\n") == 1


def test_a_model_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forecast", "/no/such/model", "tiny"]) == 2
    assert "/no/such/model" in capsys.readouterr().err


class Answers(JsonHandler):
    """Answers 4 at length and 5 in short, in turn; nothing to a prompt with "refused" in it."""

    def answer(self, body: bytes) -> None:
        """Reply to a request."""
        asked = json.loads(body)
        if "refused" in json.dumps(asked["messages"]):
            self.reply(400, {"error": {"message": "no"}}, {})
            return
        texts = [r"So it is \boxed{4}" if i % 4 else r"\boxed{5}" for i in range(asked["n"])]
        choices = [
            {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for i, text in enumerate(texts)
        ]
        usage = {"prompt_tokens": 6, "completion_tokens": 4 * len(texts), "total_tokens": 0}
        self.reply(200, {"id": "x", "object": "chat.completion", "created": 0, "choices": choices, "usage": usage}, {})


def test_an_endpoint_gives_what_needs_no_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    data = tmp_path / "data.jsonl"
    prompts = ("2+2?", "1+3?", "refused")
    data.write_text("".join(json.dumps({"prompt": prompt, "answer": "4"}) + "\n" for prompt in prompts))
    with JsonServer(Answers) as server:
        found = run(tmp_path / "out", str(data), "--backend", "endpoint", "--base-url", server.url)
    assert (found["agreement"]["prompts"], found["agreement"]["failed"]) == (2, 1)
    assert {row["signal"]: row["within"] for row in found["signals"]} == {"vote_share": 1.0, "length": 1.0}
    assert found["truth"]["avg"]["value"] == 0.75
    assert any("not measured" in sentence for sentence in found["advice"])


@pytest.mark.slow
def test_a_collapse_run_logs_every_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["tiny", "--prompts", "12", "--collapse-step", "3", "--learning-rate", "3e-5"]
    collapse = run(tmp_path, *flags)["collapse"]
    assert (collapse["steps"], collapse["mcs"]) == (3, None)
    assert [step for step, _ in collapse["curve"]] == [1, 2, 3]
    assert all(value > 0.8 for _, value in collapse["curve"])  # the packaged model's majorities are right
    assert "Model Collapse Step: > 3" in capsys.readouterr().out
    logged = [json.loads(line) for line in (tmp_path / "collapse" / "metrics.jsonl").read_text().splitlines()]
    assert sum("WatchedVote/reward_accuracy" in row for row in logged) == 3
    shutil.rmtree(tmp_path / "collapse")
