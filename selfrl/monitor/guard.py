"""A guard against collapse: it watches a run's figures, and warns, stops or has the run rolled back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

from rich.console import Console

from selfrl.group_record import GroupRecord
from selfrl.monitor.detector import Alarm, Detector, Limits
from selfrl.monitor.diagnostics import length_capped
from selfrl.monitor.metrics_file import keep_rows
from selfrl.monitor.watch import Diagnostics
from selfrl.monitor.watched_figures import BOUNDS

Action = Literal["warn", "stop", "rollback"]
# Above the sheet's simulated 7.9 and 4.6, which are for independent normal figures: learning itself moves these.
LIMITS = Limits(single=13.0, joint=8.0, slack=1.0, window=50, bounds=BOUNDS)
CAPPED = 3  # batches in a row
EVENTS = "guard.jsonl"
ROLLBACK = "rollback.json"  # in the folder of a run that was rolled back
ROLLED_BACK = "rolled back"  # the rule of a row that tells of a branch that was given up

# Names in TRL's own log, for a trainer that hands no records over.
TRL_NAMES = {
    "frac_reward_zero_std": "zero_spread",
    "completions/clipped_ratio": "truncated",
    "completions/mean_length": "length",
}
VOTE_FIGURES = ("majority_ratio", "concentration", "no_answer")  # that a voting reward logs after its own name


class CollapseGuard(Diagnostics):
    """Sees a run collapse without labels, by [`selfrl.monitor.detector.Detector`], and acts.

    With a trainer of selfrl it sees every scored batch, logs all of [`Diagnostics`] and scores the start's agreed
    completions anew ([`selfrl.trainers.anchors.Anchors`]). With a plain TRL trainer it reads the log: set
    `logging_steps=1`, as a baseline takes W logs; a voting reward of selfrl adds agreement, concentration and answers.

    The learning rate's warm-up is passed over. A batch in which every completion is cut off is not looked at: that is
    the length limit, which looks like collapse and is none, and is said after three in a row. Each alarm is printed in
    words and appended to `<output_dir>/guard.jsonl`. Then `action`:

    - "warn": no more;
    - "stop": save, and end the training;
    - "rollback": save and end it; `selfrl train` goes back to the last checkpoint before the change point and goes on
      from there with other settings, once. In a script of yours that is up to you: see `alarms`.

    State is in every checkpoint.

    Args:
        action: see above.
        limits: see [`selfrl.monitor.detector.Limits`]; `python -m benchmarks.guard` says how the defaults were found.
        console: where alarms are printed; standard output by default.

    Attributes:
        alarms: all so far.
        warm_up: steps that are passed over; the learning rate's, once training begins.

    Raises:
        ValueError: for an unknown action.

    Example:
        >>> guard = CollapseGuard()
        >>> record = GroupRecord("a", 0, ("4", "4"), "4", None, (1.0, 1.0), (3, 3), (False, False))
        >>> guard.hear([record])["guard/alarms"], guard.alarms
        (0.0, [])
    """

    part = "guard"

    def __init__(self, action: Action = "warn", limits: Limits = LIMITS, console: Console | None = None) -> None:
        if action not in get_args(Action):
            raise ValueError(f"The guard's action is {action!r}: choose one of {', '.join(get_args(Action))}.")
        super().__init__()
        self.action, self.detector = action, Detector(limits)
        self.console = console or Console(markup=False, highlight=False)
        self.alarms: list[Alarm] = []
        self.warm_up, self._capped = 0, 0
        self._first_lengths: list[float] = []
        self._hears_records = False
        self._acted, self._before = False, 0
        self._file: Path | None = None
        self._counts = {"completions": 1, "groups": 1}

    def hear(self, records: Sequence[GroupRecord]) -> dict[str, float]:
        """See the class."""
        self._hears_records = True
        figures = self.figures(records)
        if records:
            counts = {"completions": sum(len(record.lengths) for record in records), "groups": len(records)}
            self.observe(records[0].step, figures, counts)
        logs = {f"groups/{name}": value for name, value in figures.items()}
        return logs | {"guard/alarms": float(len(self.alarms)), "guard/largest_sum": self.detector.largest_sum}

    def hear_anchors(self, step: int, figures: Mapping[str, float]) -> None:
        """See the class."""
        self.observe(step, {f"anchors/{name}": value for name, value in figures.items()}, self._counts)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Read what the run is; go on from a checkpoint of a plain trainer."""
        self.warm_up = args.get_warmup_steps(state.max_steps)
        completions = getattr(args, "generation_batch_size", None) or 1
        self._counts = {
            "completions": completions,
            "groups": max(completions // getattr(args, "num_generations", 1), 1),
        }
        if state.is_world_process_zero:
            self._file = Path(args.output_dir) / EVENTS
            again, rolled = state.global_step or -1, (self._file.parent / ROLLBACK).exists()
            keep_rows(self._file, lambda row: row["step"] <= again or (rolled and row["rule"] == ROLLED_BACK))
        kept = (state.stateful_callbacks or {}).get(self.part)
        if kept is not None and state.global_step:
            self.load(kept)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Under a plain trainer: take the log in."""
        if self._hears_records or not logs or "reward" not in logs:
            return
        self.observe(state.global_step, logged_figures(logs), self._counts)
        state.stateful_callbacks[self.part] = self.state()
        self._act(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Act on an alarm."""
        self._act(control)

    def _act(self, control: Any) -> None:
        # a run that was stopped and is resumed on purpose goes on; one that was to be rolled back still is
        due = self.alarms if self.action == "rollback" else self.alarms[self._before :]
        if due and self.action != "warn" and not self._acted:
            self._acted = True
            control.should_save = control.should_training_stop = True

    def observe(self, step: int, figures: Mapping[str, float], counts: Mapping[str, int]) -> None:
        """Take figures in, wherever they come from.

        Args:
            step: optimizer steps made.
            figures: by name, see [`selfrl.monitor.watched_figures`].
            counts: how many "completions" and "groups" a batch has.
        """
        if step < self.warm_up:
            return
        if length_capped(figures):
            self._capped += 1
            if self._capped == CAPPED:
                words = (
                    "every completion is cut off: raise max_completion_length, as rewards of 0 are no collapse here."
                )
                self._tell(Alarm(step, "length cap", ("truncated",), step, words), "none")
            return
        self._capped = self._capped if "truncated" not in figures else 0
        for alarm in self.detector.observe(step, {**figures, **self._against_start(figures)}, counts):
            self.alarms.append(alarm)
            self._tell(alarm, self.action)

    def _against_start(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The median length over that of the first batches."""
        length = figures.get("length_median")
        if length is None:
            return {}
        if len(self._first_lengths) < self.detector.limits.window:
            self._first_lengths.append(length)
            return {}
        return {"length_against_start": length / max(median(self._first_lengths), 1.0)}

    def _tell(self, alarm: Alarm, action: str) -> None:
        if self._file is None:
            return
        self.console.print(f"guard, step {alarm.step}: {alarm.words}", soft_wrap=True)
        row = {**alarm._asdict(), "action": action}
        with self._file.open("a") as file:
            file.write(json.dumps(row) + "\n")

    def state(self) -> dict[str, Any]:
        """See [`selfrl.monitor.watch.RecordCallback`]."""
        own = {"detector": self.detector.state(), "alarms": [list(alarm) for alarm in self.alarms]}
        return super().state() | own | {"capped": self._capped, "first_lengths": list(self._first_lengths)}

    def load(self, state: Mapping[str, Any]) -> None:
        """See [`selfrl.monitor.watch.RecordCallback`]."""
        super().load(state)
        self.detector.load(state["detector"])
        self.alarms = [Alarm(step, rule, tuple(names), *rest) for step, rule, names, *rest in state["alarms"]]
        self._before = len(self.alarms)
        self._capped, self._first_lengths = state["capped"], list(state["first_lengths"])


def logged_figures(logs: Mapping[str, Any]) -> dict[str, float]:
    """What a log of TRL's holds of the watched figures, under selfrl's names.

    >>> logged_figures({"frac_reward_zero_std": 0.5, "MajorityVoteReward/concentration": 0.2, "loss": 1.0})
    {'zero_spread': 0.5, 'concentration': 0.2}
    """
    figures = {ours: float(logs[name]) for name, ours in TRL_NAMES.items() if name in logs}
    for name, value in logs.items():
        reward, _, figure = name.rpartition("/")
        if figure in VOTE_FIGURES and reward.endswith("Reward"):
            figures.setdefault(figure, float(value))
    return figures
