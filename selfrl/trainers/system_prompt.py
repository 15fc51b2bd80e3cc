"""A system prompt that may change while a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfrl.conversation import with_system
from selfrl.files import write_whole

FILE = "system_prompt.txt"


class SystemPrompt:
    """Mixin over a TRL group trainer: `system_prompt`, once set, stands in every prompt from the next rollouts on.

    It takes the place of the data's system message, in evaluation too. It is saved with the
    model, as `system_prompt.txt`, so in every checkpoint too, and a resumed run goes on with it.
    """

    args: Any
    system_prompt: str | None = None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if self.system_prompt is not None:
            inputs = [{**row, "prompt": with_system(row["prompt"], self.system_prompt)} for row in inputs]
        return super()._generate_and_score_completions(inputs)  # type: ignore[misc]

    def save_model(self, output_dir: str | None = None, *args: Any, **kwargs: Any) -> None:
        """Save the model, as in every checkpoint, with the system prompt it was trained under."""
        super().save_model(output_dir, *args, **kwargs)  # type: ignore[misc]
        if self.system_prompt is not None and self.args.should_save:
            write_whole(Path(output_dir or self.args.output_dir) / FILE, self.system_prompt)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # type: ignore[misc]
        if self.system_prompt is not None and checkpoint is not None:
            path = Path(checkpoint) / FILE
            if not path.exists():
                raise ValueError(f"{checkpoint} holds no {FILE}: it comes from a run with a fixed prompt, start anew.")
            self.system_prompt = path.read_text(encoding="utf-8")
