"""A probe in a real training: logged, never rewarded, and without influence on the run."""

import dataclasses
import json
import multiprocessing
import time
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerControl, TrainerState, TrainingArguments

from selfrl.data.tiny import tiny_problems
from selfrl.eval.probe import TaskProbe
from selfrl.eval.question_votes import QuestionVote, question_votes
from selfrl.eval.scoring import Scores, score
from selfrl.eval.shared_start import Measured, measured_once, start_file
from selfrl.models import TINY_MODEL, model_path
from selfrl.recipe import parse_recipe
from selfrl.training import build_trainer, run

RECIPE = """
model_name_or_path: tiny
dataset: tiny
dataset_split: train[:64]
rewards: {MajorityVoteReward: {}}
num_generations: 4
per_device_train_batch_size: 8
max_steps: 4
max_completion_length: 40
learning_rate: 1.0e-4
use_cpu: true
bf16: false
report_to: none
logging_steps: 1
save_strategy: "no"
gradient_checkpointing: false
"""


def train(folder: Path, probe: str) -> Path:
    folder.mkdir()
    (folder / "r.yaml").write_text(RECIPE + probe)
    run(build_trainer(parse_recipe([str(folder / "r.yaml"), "--output_dir", str(folder / "out")])))
    return folder / "out"


@pytest.mark.slow
def test_the_probe_is_logged_and_changes_nothing(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain", "")
    probed = train(tmp_path / "probed", "probe: {task: tiny_problems, every: 3, questions: 10, n: 2, final: {n: 3}}")
    rows = [json.loads(line) for line in (probed / "metrics.jsonl").read_text().splitlines()]
    seen = {row["step"]: row["probe/tiny_problems/avg@2"] for row in rows if "probe/tiny_problems/avg@2" in row}
    assert list(seen) == [0, 3, 4]
    assert all(0.3 < value <= 1 for value in seen.values())
    assert [row["step"] for row in rows if "probe/tiny_problems/maj@2" in row] == [0, 3, 4]
    assert [row["step"] for row in rows if "probe/tiny_problems/final/avg@3" in row] == [0, 4]
    assert [row["step"] for row in rows if "reward" in row] == [1, 2, 3, 4]
    first, second = (load_file(out / "model.safetensors") for out in (plain, probed))
    assert all(first[name].equal(second[name]) for name in first)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"task": "gsm8k"}, "needs task and every"),
        ({"task": "gsm8k", "every": 5, "question": 3}, ", not question"),
        ({"task": "tiny_problems", "every": 5, "final": 3}, "`final` of the probe must be a mapping"),
        ({"task": "tiny_problems", "every": 5, "final": {"every": 3}}, "takes questions, n, not every"),
        ({"task": "tiny_problems", "every": 5, "final": {"n": "two"}}, "`n` of the probe is 'two'"),
        ({"task": "tiny_problems", "every": 5, "questions": 9, "final": {"questions": 8}}, "asks less than the probe"),
        ({"task": "tiny_problems", "every": 5, "temperature": 0, "final": {"n": 2}}, "the same at temperature 0"),
        ({"task": "gsm8k", "every": None}, "`every` of the probe is None"),
        ({"task": "gsm8k", "every": 5, "n": "two"}, "`n` of the probe is 'two'"),
        ({"task": "tiny_problems", "every": 0}, "must be 1 or more"),
        ({"task": "cruxeval", "every": 5, "data": "rows.jsonl"}, "does not exist"),
        ({"task": "nope", "every": 5}, "Unknown task"),
    ],
)
def test_faulty_probes_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskProbe.of("tiny", keys)


SAMPLED = {"task": "tiny_problems", "temperature": 1.0, "top_p": 1.0, "batch_size": 512}


def loaded(name: str | Path) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(name), AutoTokenizer.from_pretrained(name)


def follow(probe: TaskProbe, model: Any, tokenizer: Any, out: Path, last: int) -> None:
    """The calls that a training of `last` steps makes."""
    args, control = TrainingArguments(str(out), use_cpu=True), TrainerControl()
    state = TrainerState(max_steps=last)
    probe.on_train_begin(args, state, control, model=model, processing_class=tokenizer)
    for step in range(1, last + 1):
        state.global_step = step
        probe.on_step_end(args, state, control, model=model, processing_class=tokenizer)


def test_it_measures_the_packaged_model_at_the_steps_asked_for(tmp_path: Path) -> None:
    """The shipped checkpoint samples right answers about two times in three, on numbers it never saw."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in tiny_problems("heldout", 60, seed=2)))
    probe = TaskProbe.of("tiny", {**SAMPLED, "questions": 60, "every": 2, "n": 4, "data": str(rows)})
    follow(probe, *loaded(TINY_MODEL), tmp_path, last=3)
    assert [step for step, _ in probe.history] == [0, 2, 3]
    start = probe.history[0][1]
    assert 0.5 < start.avg < 0.8
    assert start.maj > 0.85
    assert all(scores == start for _, scores in probe.history)  # same seed, same model
    assert probe.ends == probe.questions == []


def test_a_run_that_was_rolled_back_keeps_what_was_measured_before(tmp_path: Path) -> None:
    keys = {**SAMPLED, "questions": 4, "every": 2, "final": {"n": 2}}
    first, second = TaskProbe.of("tiny", keys), TaskProbe.of("tiny", keys)
    model, tokenizer = loaded(TINY_MODEL)
    follow(first, model, tokenizer, tmp_path, last=5)
    second.follow(first)
    args, control, state = TrainingArguments(str(tmp_path), use_cpu=True), TrainerControl(), TrainerState(max_steps=5)
    state.global_step = 3  # the checkpoint that the run goes on from
    second.on_train_begin(args, state, control, model=model, processing_class=tokenizer)
    assert [step for step, _ in second.history] == [0, 2]
    assert [step for step, _ in second.ends] == [step for step, _ in second.questions] == [0]
    state.global_step = 4
    second.on_step_end(args, state, control, model=model, processing_class=tokenizer)
    second.close(SimpleNamespace(args=args, state=state, model=model, processing_class=tokenizer))  # ends early
    assert [step for step, _ in second.history] == [0, 2, 4, 4]
    assert [step for step, _ in second.ends] == [step for step, _ in second.questions] == [0, 4]


def test_the_packaged_problems_are_asked_as_they_are() -> None:
    probe = TaskProbe.of("tiny", {**SAMPLED, "questions": 250, "every": 2, "n": 4})
    asked, rows = probe.job.questions, tiny_problems("heldout", 250)
    assert asked.ungradable == 0
    assert [question.prompt for question in asked.questions] == rows["prompt"][:]
    assert [question.gold for question in asked.questions] == rows["answer"][:]
    sampling = probe.job.sampling
    assert (sampling.n, sampling.temperature, sampling.top_p, sampling.max_tokens) == (4, 1.0, 1.0, 40)


def test_the_system_prompt_of_a_run_is_asked_with() -> None:
    probe = TaskProbe.of("tiny", {**SAMPLED, "questions": 3, "every": 2}, "Count with care.")
    assert all(str(question.prompt).startswith("Count with care.") for question in probe.job.questions.questions)


def test_sampling_is_seeded_and_grouped(random_model: Path) -> None:
    model, tokenizer = loaded(random_model)

    def texts(seed: int) -> list[list[str]]:
        keys = {**SAMPLED, "questions": 5, "every": 1, "n": 3, "max_tokens": 6, "seed": seed}
        probe = TaskProbe.of(str(random_model), keys)
        return [[s.completion for s in group] for group in probe._samples(probe.job, model, tokenizer)]

    first = texts(1)
    assert [len(group) for group in first] == [3] * 5
    assert first == texts(1)
    assert first != texts(2)


def test_the_final_measure_stands_at_both_ends_and_the_curve_is_a_part_of_it(tmp_path: Path) -> None:
    keys = {**SAMPLED, "questions": 6, "n": 2, "every": 2, "final": {"questions": 12, "n": 3}}
    probe = TaskProbe.of("tiny", keys)
    model, tokenizer = loaded(TINY_MODEL)
    follow(probe, model, tokenizer, tmp_path, last=3)
    assert [(step, s.questions, s.n) for step, s in probe.history] == [(0, 6, 2), (2, 6, 2), (3, 6, 2)]
    assert [(step, s.questions, s.n) for step, s in probe.ends] == [(0, 12, 3), (3, 12, 3)]
    assert probe.final is not None
    samples = probe._samples(probe.final, model, tokenizer)
    assert probe.ends[0][1] == score(samples)
    votes = question_votes(samples)
    assert probe.questions == [(0, votes), (3, votes)]
    assert [vote.question for vote in votes] == [question.id for question in probe.final.questions.questions]
    assert fmean(vote.right for vote in votes) == pytest.approx(probe.ends[0][1].avg)
    assert fmean(vote.maj for vote in votes) == pytest.approx(probe.ends[0][1].maj)
    assert probe.history[0][1] == score([group[:2] for group in samples[:6]])
    assert probe.history[1][1] == probe.measure(model, tokenizer)


def test_a_start_is_measured_once_for_equal_weights_and_questions(tmp_path: Path, random_model: Path) -> None:
    model, tokenizer = loaded(TINY_MODEL)
    starts = tmp_path / "starts"

    def begun(model: Any, **changes: Any) -> TaskProbe:
        keys = {**SAMPLED, "questions": 6, "n": 2, "every": 2, "final": {"n": 3}, **changes}
        probe = TaskProbe.of("tiny", keys)
        probe.starts = starts
        follow(probe, model, tokenizer, tmp_path, last=0)
        assert len(probe.history) == len(probe.ends) == len(probe.questions) == 1
        return probe

    def start(model: Any, **changes: Any) -> Scores:
        return begun(model, **changes).history[0][1]

    measured = begun(model)
    first, votes = measured.history[0][1], measured.questions[0][1]
    (file,) = starts.glob("*.json")
    assert start(model) == first
    narrow, wide = json.loads(file.read_text())["scores"]
    more = [[9, 3, 0.0, 1 / 3, 0.0]]
    rows = [list(dataclasses.astuple(vote)) for vote in votes]
    assert json.loads(file.read_text())["votes"] == rows
    file.write_text(json.dumps({"scores": [{**narrow, "avg": 0.125}, wide], "votes": rows + more}))
    assert start(model) == dataclasses.replace(first, avg=0.125)  # it is read, not measured
    assert begun(model).questions == [(0, [*votes, QuestionVote(9, 3, 0.0, 1 / 3, 0.0)])]
    assert start(model, seed=1).avg != 0.125
    assert start(loaded(random_model)[0]).avg != 0.125
    assert len(list(starts.glob("*.json"))) == 3


NOTHING = Measured([], [])


def slow_measure(path: Path, begun: Path) -> None:
    def measure() -> Measured:
        begun.touch()
        time.sleep(60)
        return NOTHING

    measured_once(path, measure)


def test_a_process_that_dies_while_it_measures_leaves_it_to_the_next(tmp_path: Path) -> None:
    path, begun = tmp_path / "starts" / "a.json", tmp_path / "begun"
    process = multiprocessing.get_context("fork").Process(target=slow_measure, args=(path, begun))
    process.start()
    deadline = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    assert measured_once(path, lambda: NOTHING) == NOTHING
    assert json.loads(path.read_text()) == {"scores": [], "votes": []}
    process.join()


def counted_measure(path: Path, counts: Path) -> None:
    def measure() -> Measured:
        with counts.open("a") as file:
            file.write("measured\n")
        time.sleep(0.5)
        return NOTHING

    assert measured_once(path, measure) == NOTHING


def test_processes_that_come_meanwhile_wait_for_the_first(tmp_path: Path) -> None:
    path, counts = tmp_path / "starts" / "a.json", tmp_path / "counts"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=counted_measure, args=(path, counts)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert counts.read_text() == "measured\n"


def test_starts_are_told_apart_by_every_weight_and_question() -> None:
    model, _ = loaded(TINY_MODEL)
    folder = Path("starts")
    first = start_file(folder, model, ["asked"])
    assert start_file(folder, model, ["asked"]) == first
    assert start_file(folder, model, ["asked otherwise"]) != first
    next(iter(model.parameters())).data.view(-1)[-1] += 1e-3
    assert start_file(folder, model, ["asked"]) != first


def test_a_task_file_takes_its_rows_from_the_recipe(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "Find the sum of 1 and 2.", "answer": "3"}) + "\n")
    path = tmp_path / "own.yaml"
    path.write_text((Path(model_path("tiny")).parents[1] / "eval" / "tasks" / "tiny_problems.yaml").read_text())
    probe = TaskProbe.of("tiny", {"task": str(path), "every": 1, "data": str(rows)})
    assert [question.gold for question in probe.job.questions.questions] == ["3"]


def test_a_probe_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(RECIPE + "probe: gsm8k")
    with pytest.raises(ValueError, match="`probe` must be a mapping"):
        parse_recipe([str(path)])
