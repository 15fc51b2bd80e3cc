from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerControl, TrainerState, TrainingArguments

from selfrl.data.tiny import tiny_problems
from selfrl.models import TINY_MODEL
from selfrl.monitor.heldout import HeldOutAccuracy


def test_it_measures_the_packaged_model_at_the_steps_asked_for(tmp_path: Path) -> None:
    """The shipped checkpoint samples right answers about two times in three, on numbers it never saw."""
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(TINY_MODEL),
        AutoTokenizer.from_pretrained(TINY_MODEL),
    )
    probe = HeldOutAccuracy(tiny_problems("heldout", 60, seed=2), every=2, n=4, max_new_tokens=40)
    args, state, control = (
        TrainingArguments(str(tmp_path), use_cpu=True),
        TrainerState(max_steps=3),
        TrainerControl(),
    )
    probe.on_train_begin(args, state, control, model=model, processing_class=tokenizer)
    for step in (1, 2, 3):
        state.global_step = step
        probe.on_step_end(args, state, control, model=model, processing_class=tokenizer)
    assert [step for step, _ in probe.history] == [0, 2, 3]
    start = probe.history[0][1]
    assert 0.5 < start.avg < 0.8
    assert start.maj > 0.85
    assert all(accuracy == start for _, accuracy in probe.history)  # same seed, same model
