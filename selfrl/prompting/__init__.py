"""Self-supervised prompt optimisation (SPO, 2502.06855): better prompts from a model's own preferences, no labels."""

from selfrl.prompting.optimizer import PromptOptimizer, Settings
from selfrl.prompting.prompt_task import Example, PromptTask, load_task
from selfrl.prompting.roles import Role
from selfrl.prompting.run_record import Run, read_prompt, read_run

__all__ = [
    "Example",
    "PromptOptimizer",
    "PromptTask",
    "Role",
    "Run",
    "Settings",
    "load_task",
    "read_prompt",
    "read_run",
]
