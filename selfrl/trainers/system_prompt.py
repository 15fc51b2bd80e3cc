"""A system prompt that may change while a run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfrl.checkpoint import Part
from selfrl.conversation import plain_text, with_system
from selfrl.files import write_whole
from selfrl.trainers.trl_surface import Batch, GroupTrainer, Rows, Setup

FILE = "system_prompt.txt"


class SystemPrompt(GroupTrainer):
    """Mixin over a TRL group trainer: `system_prompt`, once set, stands in every prompt from the next rollouts on.

    It takes the place of the data's system message, in evaluation too. A model without a chat template reads a
    conversation as [`selfrl.conversation.plain_text`]. The prompt is saved with the model, as `system_prompt.txt`, and
    a resumed run goes on with that of its checkpoint.
    """

    system_prompt: str | None = None

    def _attach(self, setup: Setup) -> None:
        super()._attach(setup)
        self.checkpoint.register(
            Part("system_prompt", lambda: {"text": self.system_prompt}, self._load_system_prompt, required=False)
        )

    def _load_system_prompt(self, state: dict[str, Any]) -> None:
        if self.system_prompt is not None:
            if state["text"] is None:
                raise ValueError("The checkpoint holds no system_prompt: it comes from a run without one, start anew.")
            self.system_prompt = state["text"]

    def _generate_and_score_completions(self, inputs: Rows) -> Batch:
        return super()._generate_and_score_completions([self._asked(row) for row in inputs])

    def _asked(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row as the model is asked."""
        prompt = row.get("prompt")
        if self.system_prompt is not None:
            prompt = with_system(prompt, self.system_prompt)
        if isinstance(prompt, list) and getattr(self.processing_class, "chat_template", None) is None:
            prompt = plain_text(prompt)
        return row if prompt is row.get("prompt") else {**row, "prompt": prompt}

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the model, as in every checkpoint, with the system prompt it was trained under."""
        super().save_model(output_dir, _internal_call)
        if self.system_prompt is not None and self.args.should_save:
            write_whole(Path(output_dir or self.args.output_dir) / FILE, self.system_prompt)
