"""One mechanism for what a run must remember beside its weights: parts register, a checkpoint keeps them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from selfrl.files import whole_file, write_whole

State = Mapping[str, Any]  # by name: tensors, and values that JSON can write


@dataclass(frozen=True)
class Part:
    """Something that a checkpoint keeps.

    Args:
        name: of its files, NAME.safetensors for tensors and NAME.json for other values.
        save: gives its state.
        load: takes the state that `save` gave.
        each_process: whether every process has a state of its own.
        required: whether a checkpoint without it is refused; if not, the part starts afresh there.
    """

    name: str
    save: Callable[[], State]
    load: Callable[[dict[str, Any]], None]
    each_process: bool = False
    required: bool = True


class Checkpoint:
    """The parts of a run, saved into and loaded from a folder, each file whole or not at all.

    Example:
        >>> import tempfile
        >>> folder, counts = Path(tempfile.mkdtemp()), {"seen": 3}
        >>> checkpoint = Checkpoint()
        >>> checkpoint.register(Part("counts", save=lambda: counts, load=counts.update))
        >>> checkpoint.save(folder)
        >>> counts["seen"] = 0
        >>> checkpoint.load(folder)
        >>> counts
        {'seen': 3}
    """

    def __init__(self) -> None:
        self.parts: dict[str, Part] = {}

    def register(self, part: Part) -> None:
        """Keep a part from now on.

        Raises:
            ValueError: if its name is taken.
        """
        if part.name in self.parts:
            raise ValueError(f"A checkpoint has a part {part.name!r} already: give this one another name.")
        self.parts[part.name] = part

    def save(self, folder: Path, process: int = 0, shared: bool = True) -> None:
        """Write the parts.

        Args:
            folder: the checkpoint, made if it is not there: processes do not wait for each other.
            process: rank of this process, for parts that each process has.
            shared: whether this process writes the parts that all processes share.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for part in self.parts.values():
            if part.each_process or shared:
                _write(folder, _stem(part, process), part.save())

    def load(self, folder: Path, process: int = 0) -> None:
        """Hand every part its state.

        Raises:
            ValueError: if the checkpoint lacks a required part.
        """
        for part in self.parts.values():
            state = _read(folder, _stem(part, process))
            if state is not None:
                part.load(state)
            elif part.required:
                raise ValueError(f"{folder} holds no {part.name}: it comes from a run without one, start anew.")


def step_of(checkpoint: Path) -> int:
    """The step after which a checkpoint was written.

    >>> step_of(Path("runs/vote/checkpoint-20"))
    20
    """
    return int(checkpoint.name.removeprefix("checkpoint-"))


def latest_checkpoint(output_dir: Path, processes: int = 1, before: int | None = None) -> Path | None:
    """The newest checkpoint that was written whole; a run killed while saving leaves one without its last files.

    Args:
        output_dir: folder of the run.
        processes: how many there were; each writes its random state after everything else of its own.
        before: only those of at most so many steps.
    """
    names = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    found = sorted(output_dir.glob("checkpoint-*/trainer_state.json"), key=lambda path: step_of(path.parent))
    whole = [path.parent for path in found if all((path.parent / name).exists() for name in names)]
    early = [path for path in whole if before is None or step_of(path) <= before]
    return early[-1] if early else None


def _stem(part: Part, process: int) -> str:
    return f"{part.name}_{process}" if part.each_process else part.name


def _write(folder: Path, stem: str, state: State) -> None:
    # tensors of their own: safetensors refuses views of one storage
    tensors = {name: value.contiguous().clone() for name, value in state.items() if isinstance(value, torch.Tensor)}
    values = {name: value for name, value in state.items() if name not in tensors}
    if tensors:
        with whole_file(folder / f"{stem}.safetensors") as path:
            save_file(tensors, path)
    if values or not tensors:
        write_whole(folder / f"{stem}.json", json.dumps(values))


def _read(folder: Path, stem: str) -> dict[str, Any] | None:
    tensors, values = folder / f"{stem}.safetensors", folder / f"{stem}.json"
    if not tensors.exists() and not values.exists():
        return None
    state: dict[str, Any] = load_file(tensors) if tensors.exists() else {}
    return state | (json.loads(values.read_text()) if values.exists() else {})
