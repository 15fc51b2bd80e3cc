"""The guard as a callback: what it looks at, what it says, and what it does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from selfrl.group_record import GroupRecord
from selfrl.monitor.detector import Limits
from selfrl.monitor.guard import LIMITS, CollapseGuard, logged_figures
from selfrl.monitor.guard_settings import guard_of
from selfrl.monitor.watched_figures import BOUNDS


def batch(step: int, keys: str = "4455", cut: bool = False, length: int = 20) -> list[GroupRecord]:
    """Eight groups; those with one key alone have no spread of rewards."""
    return [
        GroupRecord(
            prompt_id=f"{i}",
            step=step,
            keys=tuple(keys),
            label=keys[0],
            label_is_right=None,
            rewards=tuple(float(key == keys[0]) for key in keys),
            lengths=(length,) * len(keys),
            cut_off=(cut,) * len(keys),
        )
        for i in range(8)
    ]


def started(out: Path, action: str = "warn", warmup: int = 0, step: int = 0, **limits: object) -> CollapseGuard:
    guard = CollapseGuard(action, LIMITS._replace(**limits), Console(quiet=True))  # type: ignore[arg-type]
    args = TrainingArguments(str(out), use_cpu=True, warmup_steps=warmup)
    guard.on_train_begin(args, TrainerState(max_steps=100, global_step=step), TrainerControl())
    return guard


def control_after(guard: CollapseGuard, out: Path) -> TrainerControl:
    control = TrainerControl()
    guard.on_step_end(TrainingArguments(str(out), use_cpu=True), TrainerState(), control)
    return control


def test_an_alarm_is_written_down_in_words_and_acted_on_once(tmp_path: Path) -> None:
    for action in ("warn", "stop", "rollback"):
        guard = started(tmp_path / action, action)
        for step in range(30):
            logs = guard.hear(batch(step, "4444"))
            ends = step >= 9 and action != "warn"
            assert control_after(guard, tmp_path).should_training_stop is (ends and step == 9)
        (alarm,) = guard.alarms
        assert (alarm.step, alarm.rule, alarm.figures) == (9, "bound", ("zero_spread",))
        (row,) = map(json.loads, (tmp_path / action / "guard.jsonl").read_text().splitlines())
        assert row["action"] == action
        assert row["figures"] == ["zero_spread"]
        assert row["words"].startswith("zero_spread is 1, above 0.9: hardly a group has two rewards")
        assert logs["guard/alarms"] == 1
        assert logs["groups/zero_spread"] == 1


def test_the_warm_up_is_passed_over(tmp_path: Path) -> None:
    guard = started(tmp_path, warmup=5)
    for step in range(30):
        guard.hear(batch(step, "4444"))
    assert [alarm.step for alarm in guard.alarms] == [14]


def test_the_length_limit_is_no_collapse(tmp_path: Path) -> None:
    guard = started(tmp_path, "stop")
    for step in range(20):
        guard.hear(batch(step, "----", cut=True))
    assert not guard.alarms
    assert not control_after(guard, tmp_path).should_training_stop
    (row,) = map(json.loads, (tmp_path / "guard.jsonl").read_text().splitlines())
    assert row["step"] == 2
    assert "raise max_completion_length" in row["words"]


def test_some_cut_off_completions_are_a_bound(tmp_path: Path) -> None:
    guard = started(tmp_path)
    for step in range(5):
        guard.hear([*batch(step, cut=True)[:5], *batch(step)[:3]])
    assert [alarm.figures for alarm in guard.alarms] == [("truncated",)]


def test_one_answer_to_everything_needs_enough_groups(tmp_path: Path) -> None:
    few, many = started(tmp_path / "few"), started(tmp_path / "many")
    for step in range(5):
        few.hear(batch(step, "4456"))
        many.hear(batch(step, "4456") * 4)
    assert not few.alarms
    assert [alarm.figures for alarm in many.alarms] == [("concentration",)]


def test_completions_a_quarter_as_long_as_at_the_start(tmp_path: Path) -> None:
    guard = started(tmp_path, window=6, single=1e9, joint=1e9)
    for step in range(6):
        guard.hear(batch(step, length=41))
    for step in range(6, 12):
        guard.hear(batch(step, length=10))
    assert [(alarm.step, alarm.figures) for alarm in guard.alarms] == [(8, ("length_against_start",))]


def test_the_lengths_of_the_start_survive_a_resume(tmp_path: Path) -> None:
    first = started(tmp_path, window=6, single=1e9, joint=1e9)
    for step in range(6):
        first.hear(batch(step, length=41))
    again = started(tmp_path, step=6, window=6, single=1e9, joint=1e9)
    again.load(json.loads(json.dumps(first.state())))
    for step in range(6, 12):
        again.hear(batch(step, length=10))
    assert [alarm.step for alarm in again.alarms] == [8]


def test_what_the_start_agreed_on_is_listened_to(tmp_path: Path) -> None:
    guard = started(tmp_path)
    for step, lost in enumerate([0.0, 0.04, 0.14, 0.16]):
        guard.hear_anchors(step, {"lost": lost, "log_ratio": -lost})
    (alarm,) = guard.alarms
    assert (alarm.step, alarm.change_point, alarm.figures) == (3, 1, ("anchors/lost",))


def test_a_guard_goes_on_from_its_state(tmp_path: Path) -> None:
    for cut in (2, 7, 12):
        whole, first = started(tmp_path / "whole", window=5), started(tmp_path / "cut", window=5)
        for step in range(20):
            whole.hear(batch(step, "4455" if step < 8 else "4444"))
        for step in range(cut):
            first.hear(batch(step, "4455" if step < 8 else "4444"))
        second = started(tmp_path / "cut", step=cut, window=5)
        second.load(json.loads(json.dumps(first.state())))
        for step in range(cut, 20):
            second.hear(batch(step, "4455" if step < 8 else "4444"))
        assert second.alarms == whole.alarms
        assert second.alarms
        assert second.state() == whole.state()
        assert (tmp_path / "cut/guard.jsonl").read_text() == (tmp_path / "whole/guard.jsonl").read_text()


def test_a_plain_log_is_read_by_its_own_names() -> None:
    logs = {"reward": 1.0, "frac_reward_zero_std": 0.25, "completions/clipped_ratio": 0.5, "kl": 0.1}
    assert logged_figures({**logs, "VoteReward/no_answer": 0.75}) == {
        "zero_spread": 0.25,
        "truncated": 0.5,
        "no_answer": 0.75,
    }


def test_settings_of_a_recipe() -> None:
    assert guard_of("stop").action == "stop"  # type: ignore[union-attr]
    assert guard_of(False) is guard_of("off") is None
    settings = guard_of({"action": "rollback", "then": {"beta": 0.4}, "single": 9})
    assert settings is not None
    assert (settings.then, settings.limits) == ({"beta": 0.4}, Limits(9, *LIMITS[1:]))
    assert settings.limits.bounds == BOUNDS


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("halt", "choose one of warn, stop, rollback, off"),
        ({"act": "warn"}, "not act"),
        ({"then": {"beta": 1}}, "goes with `action: rollback`"),
        ({"window": 0}, "must be a number above 0"),
        ({"window": "many"}, "must be a number above 0"),
        (3, "must be warn"),
    ],
)
def test_settings_that_make_no_sense_are_refused(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        guard_of(value)
    with pytest.raises(ValueError, match="choose one of"):
        CollapseGuard("halt")  # type: ignore[arg-type]


def test_a_run_that_is_resumed_on_purpose_is_not_stopped_for_an_old_alarm(tmp_path: Path) -> None:
    first = started(tmp_path, "stop")
    for step in range(12):
        first.hear(batch(step, "4444"))
    for action, ends in (("stop", False), ("rollback", True)):
        again = started(tmp_path, action, step=12)
        again.load(json.loads(json.dumps(first.state())))
        again.hear(batch(12, "4444"))
        assert control_after(again, tmp_path).should_training_stop is ends
