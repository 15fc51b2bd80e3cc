"""What a `selfrl evolve` recipe would do, as tables."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from selfrl.evolve.dpo_training import DPOPlan
from selfrl.evolve.evolve_recipe import EvolveRecipe
from selfrl.training import print_plan


def print_evolve_plan(recipe: EvolveRecipe, console: Console) -> None:
    """Print the schedule, and the plan of a round's training."""
    settings, curriculum, gate = recipe.settings, recipe.curriculum, recipe.curriculum.gate
    kept = "all" if settings.candidates is None else str(settings.candidates)
    topic = f", balanced over {settings.topic}" if settings.topic else ""
    rows = {
        "rounds": settings.rounds,
        "seeds": f"{recipe.data['dataset']} ({recipe.data.get('dataset_split', 'train')})",
        "fresh phase": f"{settings.fresh} seeds a round" if settings.fresh else "none",
        "scored": f"{settings.fresh or kept} prompts x {settings.samples} answers of {settings.max_tokens} tokens, "
        f"temperature {settings.temperature}, top-p {settings.top_p}, by {recipe.backend}",
        "rewards": ", ".join(reward.__name__ for reward in recipe.rewards),
        "evolved": f"{settings.subset:.0%} of them, {settings.selection} to {curriculum.measure}{topic}",
        "creator": type(recipe.creator).__name__ + (", trained against the solver" if recipe.proposer else ""),
        "gate": f"{gate.mode}, solve rate {gate.low} to {gate.high}, {gate.min_votes} votes, ROUGE-L {gate.near}"
        + (" — UNGATED" if gate.mode == "off" else ""),
        "held back": ", ".join(recipe.evaluation) or "nothing is named",
        "trained on": f"{settings.prompts or 'as many as were scored'}, {curriculum.evolved_share:.0%} evolved",
        "solver": "DPO, best against worst answer"
        if isinstance(recipe.plan, DPOPlan)
        else recipe.plan.trainer_class.__name__,
        "launched by": recipe.launch or "this Python",
    }
    _print("Self-play", rows, console)
    if isinstance(recipe.plan, DPOPlan):
        config = recipe.plan.config
        pairs = config.per_device_train_batch_size * config.gradient_accumulation_steps * config.world_size
        rounds = {
            "model": recipe.plan.model.model_name_or_path,
            "loss": f"{', '.join(config.loss_type)}, beta {config.beta}",
            "batch": f"{pairs} pairs",
            "learning rate": f"{config.learning_rate} {config.lr_scheduler_type.value}, warm-up {config.warmup_steps}",
            "length of a round": f"{config.max_steps} steps"
            if config.max_steps > 0
            else f"{config.num_train_epochs} epochs",
        }
        _print("DPO", rounds, console)
        return
    print_plan(recipe.plan, console)


def _print(title: str, rows: dict[str, object], console: Console) -> None:
    table = Table(title=title, show_header=False)
    for name, value in rows.items():
        table.add_row(name, str(value))
    console.print(table)
