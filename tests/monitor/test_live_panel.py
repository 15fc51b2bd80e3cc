"""What a terminal shows of a run."""

import io
from pathlib import Path

from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from selfrl.monitor.live_panel import RunView
from selfrl.monitor.progress import ProgressLines


def shown(view: RunView) -> str:
    out = io.StringIO()
    Console(file=out, width=80).print(view)
    return out.getvalue()


def test_the_panel_tells_accuracy_agreement_alarms_and_time_left() -> None:
    view = RunView("votes", total=10, step=2)
    assert view.seconds_left is None
    view.take({"probe/gsm8k/avg@1": 0.5, "probe/gsm8k/final/avg@8": 0.9, "groups/majority_ratio": 0.75, "loss": 3.0})
    view.take({"probe/gsm8k/avg@1": 0.45, "guard/alarms": 2.0, "labels/label_accuracy": None})
    view.step = 7
    text = shown(view)
    assert "votes: step 7 of 10, 0 s left" in text
    assert "45.0% (-5.0 since the start)" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["│", "agreement", "0.75", "│"] in rows
    assert ["│", "alarms", "2", "│"] in rows
    assert "final" not in text
    assert "loss" not in text


def test_there_is_a_panel_on_a_terminal_alone(tmp_path: Path) -> None:
    args, control = TrainingArguments(str(tmp_path), use_cpu=True), TrainerControl()
    for terminal in (True, False):
        out = io.StringIO()
        progress = ProgressLines("run", Console(file=out, width=80, force_terminal=terminal, highlight=False))
        state = TrainerState(max_steps=4)
        progress.on_train_begin(args, state, control)
        progress.on_log(args, state, control, logs={"reward": 0.5})
        progress.on_train_end(args, state, control)
        assert ("step 0 of 4" in out.getvalue()) is terminal
        assert "run step 0/4: reward 0.5" in out.getvalue()
