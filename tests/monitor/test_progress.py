import io
from pathlib import Path

from rich.console import Console
from transformers import TrainerControl, TrainerState, TrainingArguments

from selfrl.monitor.progress import ProgressLines


def test_each_log_is_one_readable_line(tmp_path: Path) -> None:
    out = io.StringIO()
    args, control = TrainingArguments(str(tmp_path), use_cpu=True), TrainerControl()
    state = TrainerState(max_steps=10)
    progress = ProgressLines("random", Console(file=out, width=200))
    progress.on_log(args, state, control, logs={"reward": 0.1})  # before the start: nothing to say
    progress.on_train_begin(args, state, control)
    state.global_step = 5
    progress.on_step_end(args, state, control)
    progress.on_log(args, state, control, logs={"reward": 0.51234, "entropy": 0.1, "kl": None, "other": 3.0})
    progress.on_train_end(args, state, control)
    lines = [line for line in out.getvalue().splitlines() if "step" in line]
    assert lines == ["random step 5/10: reward 0.512, entropy 0.1"]
