"""Run a plan: load its data and model, train, write checkpoints, metrics and a completions table."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from rich.console import Console
from rich.table import Table
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from trl import get_peft_config

from selfrl.checkpoint import latest_checkpoint
from selfrl.data.loading import FILE_FORMATS, load_rows, to_prompts
from selfrl.data.pairs import expand_pairs
from selfrl.eval.held_back import evaluation_questions
from selfrl.eval.probe import TaskProbe
from selfrl.generation.processors import load_processor, sees, with_pictures
from selfrl.generation.tokens import check_system_role, prompt_length
from selfrl.monitor.guard import CollapseGuard
from selfrl.monitor.labels import LabelWatch
from selfrl.monitor.metrics_file import MetricsFile
from selfrl.monitor.progress import ProgressLines
from selfrl.monitor.records_file import RecordsFile
from selfrl.monitor.run_file import RunFile
from selfrl.monitor.watch import Diagnostics
from selfrl.recipe import Plan
from selfrl.selfplay.live_pool import LivePool


def load_dataset(plan: Plan) -> Dataset:
    """The training rows of a plan: prompts, as two views a pair where a reward needs them.

    Raises:
        ValueError: for data that does not exist, is empty or lacks a column.
    """
    recipe = plan.recipe
    rows = load_rows(recipe.dataset, recipe.dataset_split, recipe.dataset_config)
    rows = to_prompts(rows, recipe.prompt_column, plan.system_prompt)
    return expand_pairs(rows) if plan.paired and "view" not in rows.column_names else rows


def drop_long_prompts(dataset: Dataset, processor: Any, limit: int) -> Dataset:
    """Drop rows whose prompt, with its pictures, has more than `limit` tokens, and the other view of their pair.

    Raises:
        ValueError: if nothing is left.
    """
    shown = [name for name in ("image", "images") if name in dataset.column_names] if sees(processor) else []
    too_long = [_length(processor, row, shown) > limit for row in dataset.select_columns(["prompt", *shown])]
    if "pair_id" in dataset.column_names:
        ids = dataset["pair_id"]
        broken = {pair_id for pair_id, long in zip(ids, too_long, strict=True) if long}
        too_long = [pair_id in broken for pair_id in ids]
    kept = dataset.select([i for i, long in enumerate(too_long) if not long])
    if len(kept) == 0:
        raise ValueError(f"Every prompt has more than {limit} tokens: raise max_prompt_tokens.")
    return kept


def _length(processor: Any, row: dict[str, Any], shown: Sequence[str]) -> int:
    """Tokens of a row's prompt."""
    held = next((row[name] for name in reversed(shown) if row[name]), None)  # `images` comes before `image`, as in TRL
    prompt = row["prompt"]
    if held is not None:
        prompt = with_pictures(prompt, held)
    return prompt_length(processor, prompt)


def build_trainer(plan: Plan, callbacks: Sequence[TrainerCallback] = (), progress: ProgressLines | None = None) -> Any:
    """The plan's trainer, with data and model loaded, and files of metrics, records and recipe."""
    progress = progress or ProgressLines()
    dataset = load_dataset(plan)
    keys = plan.recipe.probe_keys
    probe = None if keys is None else TaskProbe.of(plan.model.model_name_or_path, keys, plan.system_prompt)
    source = plan.model.model_name_or_path
    processor = load_processor(source, plan.model.model_revision)
    if not sees(processor) and (held := {"image", "images"} & set(dataset.column_names)):
        raise ValueError(f"The data have the column {min(held)!r}, but {source} takes no pictures: take another model.")
    if plan.system_prompt is not None:
        check_system_role(processor, source)
    if plan.recipe.max_prompt_tokens is not None:
        dataset = drop_long_prompts(dataset, processor, plan.recipe.max_prompt_tokens)
    guard = plan.guard
    watch = Diagnostics() if guard is None else CollapseGuard(guard.action, guard.limits, progress.console)
    config = copy.copy(plan.config)  # a trainer changes its arguments; the plan stays
    config.model_init_kwargs = {
        "revision": plan.model.model_revision,
        "attn_implementation": plan.model.attn_implementation,
        "dtype": plan.model.dtype,
        **(config.model_init_kwargs or {}),
    }
    trainer = plan.trainer_class(
        source,
        list(plan.rewards),
        config,
        dataset,
        processing_class=processor,
        peft_config=get_peft_config(plan.model),
        callbacks=[
            *callbacks,
            watch,
            MetricsFile(),
            RecordsFile(),
            RunFile(plan.keys),
            progress,
        ],
        teacher=plan.teacher,
        curriculum=plan.curriculum,
        roles=plan.roles,
        shaping=copy.deepcopy(plan.shapers),  # they remember prompts; another run begins anew
        pool=_pool(plan),
    )
    trainer.add_listener(LabelWatch())
    trainer.remove_callback(ProgressCallback)
    trainer.remove_callback(PrinterCallback)
    if probe is not None:
        probe.attach(trainer)
    if plan.alternation is not None:
        copy.copy(plan.alternation).attach(trainer)
    return trainer


def _pool(plan: Plan) -> LivePool | None:
    """The plan's pool, one of its own for this run, with the questions that must not be trained on."""
    if plan.pool is None:
        return None
    pool = copy.copy(plan.pool)
    pool.evaluation = evaluation_questions(pool.evaluation)
    return pool


def run(trainer: Any) -> None:
    """Train and save the model; `resume_from_checkpoint: latest` continues a killed run.

    A guard that wants a rollback only stops here, see [`selfrl.guarded_training`].
    """
    resume = trainer.args.resume_from_checkpoint
    if resume == "latest":
        resume = latest_checkpoint(Path(trainer.args.output_dir), trainer.args.world_size)
    trainer.train(resume_from_checkpoint=str(resume) if resume else None)
    trainer.save_model()


def _described(pool: LivePool) -> str:
    """In one line."""
    settings = pool.settings
    return (
        f"{type(pool.creator).__name__}, {pool.parents} parents by {settings.measure} every {pool.every} batches, "
        f"{settings.evolved_share:.0%} evolved, gate {settings.gate.mode}"
    )


def print_plan(plan: Plan, console: Console) -> None:
    """Print what a run would do, as a table."""
    config, recipe, teacher = plan.config, plan.recipe, plan.teacher
    views = 2 if plan.paired else 1
    prompts = config.generation_batch_size // config.num_generations // views
    source = Path(recipe.dataset)
    missing = source.suffix in FILE_FORMATS and not source.is_file()
    updates = config.steps_per_generation * config.num_iterations / config.gradient_accumulation_steps
    backend = f"vLLM {config.vllm_mode}" if config.use_vllm else "transformers"
    loss, divisor = getattr(config, "loss_type", "rloo"), getattr(config, "loss_normalizer", None)
    rows = {
        "model": plan.model.model_name_or_path,
        "data": f"{recipe.dataset} ({recipe.dataset_split})" + (" — not there yet" if missing else ""),
        "trainer": plan.trainer_class.__name__,
        "rewards": ", ".join(f"{name}({options or ''})" for name, options in recipe.reward_arguments.items()),
        "teacher": f"policy's weight {teacher.teacher_weight_start} → {teacher.teacher_weight_end}"
        if teacher
        else "none",
        "curriculum": "none"
        if plan.curriculum is None
        else "difficulty x dispersion" + (", stages" if plan.curriculum.curriculum_stages else ""),
        "shaping": ", ".join(f"{name}({options or ''})" for name, options in recipe.shaping_arguments.items())
        or "none",
        "roles": "none" if plan.roles is None else plan.roles.role_method,
        "pool": "none" if plan.pool is None else _described(plan.pool),
        "generation batch": f"{prompts} {'pairs' if views == 2 else 'prompts'} x {views} view(s) x "
        f"{config.num_generations} completions = {config.generation_batch_size}",
        "trained completions": f"{getattr(config, 'num_generations_train', None) or config.num_generations} a group",
        "micro-batch": f"{config.per_device_train_batch_size} x {config.world_size} process(es) x "
        f"{config.gradient_accumulation_steps} accumulation steps",
        "updates a batch": f"{updates:g}",
        "learning rate": f"{config.learning_rate} {config.lr_scheduler_type.value}, warm-up {config.warmup_steps}",
        "KL coefficient": config.beta,
        "loss": loss if divisor is None else f"sum over tokens / {divisor:g}",
        "lengths": f"prompt {recipe.max_prompt_tokens}, completion {config.max_completion_length}",
        "temperature": config.temperature,
        "length of run": f"{config.max_steps} steps" if config.max_steps > 0 else f"{config.num_train_epochs} epochs",
        "system prompt": plan.system_prompt or "none",
        "prompt optimised": f"every {recipe.prompt_every} steps, {recipe.prompt_rounds} rounds"
        if recipe.prompt_every
        else "no",
        "probe": recipe.probe_keys or "none",
        "controls": ", ".join(recipe.control_names) or "none",
        "guard": "off" if plan.guard is None else plan.guard.action,
        "rollouts": backend,
        "output": config.output_dir,
    }
    table = Table(title="Plan", show_header=False)
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
