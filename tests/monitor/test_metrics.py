from pathlib import Path

from transformers import TrainerControl, TrainerState, TrainingArguments

from selfrl.monitor.metrics_file import MetricsFile, read_metrics


def test_rows_are_appended_with_their_step(tmp_path: Path) -> None:
    args, state, control = TrainingArguments(str(tmp_path), use_cpu=True), TrainerState(), TrainerControl()
    callback = MetricsFile()
    callback.on_train_begin(args, state, control)
    for step in (1, 2):
        state.global_step = step
        callback.on_log(args, state, control, logs={"reward": step / 10})
    assert read_metrics(tmp_path / "metrics.jsonl") == [
        {"step": 1, "reward": 0.1},
        {"step": 2, "reward": 0.2},
    ]


def test_a_resumed_run_drops_the_rows_it_will_log_again_and_a_fresh_run_all(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "reward": 0.5}\n{"step": 2, "reward": 0.6}\n{"step": 3, "rew')
    assert [row["step"] for row in read_metrics(path)] == [1, 2]
    args, state = TrainingArguments(str(tmp_path), use_cpu=True), TrainerState(global_step=1)
    MetricsFile().on_train_begin(args, state, TrainerControl())
    assert path.read_text() == '{"step": 1, "reward": 0.5}\n'
    MetricsFile().on_train_begin(args, TrainerState(), TrainerControl())
    assert read_metrics(path) == []
    assert read_metrics(tmp_path / "nowhere.jsonl") == []
