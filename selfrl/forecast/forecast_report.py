"""A forecast on the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from selfrl.tables import percent, wrapping_table

BIN_HEAD = ["majority ratio", "share of prompts", "right majorities", "95 %", "labelled"]
NOISE_HEAD = [
    "reward",
    "right labels",
    "95 %",
    "agrees with truth",
    "J",
    "s.e.",
    "by prompt",
    "noise",
    "skew",
    "coupling",
]
SIGNAL_HEAD = ["signal", "AUROC", "within prompts", "completions"]


def print_forecast(found: Mapping[str, Any], console: Console) -> None:
    """Print tables and sentences of [`selfrl.forecast.forecasting.forecast`]."""
    agreement, truth = found["agreement"], found["truth"]
    asked = f"{agreement['prompts']} prompts of {found['data']} x {agreement['n']} completions"
    title = f"{found['model']}: {asked}, {found['labelled']} labelled"
    console.print(
        wrapping_table(BIN_HEAD, [_bin_row(agreement, truth, i) for i in range(len(agreement["histogram"]))], title)
    )
    for sentence in facts(found):
        console.print(sentence)
    if truth is not None:
        rows = [_noise_row(name, truth[name]) for name in ("majority", "contrastive") if truth[name] is not None]
        console.print(wrapping_table(NOISE_HEAD, rows, "Pseudo-rewards against the truth"))
    if found["signals"]:
        rows = [[r["signal"], number(r["auroc"]), number(r["within"]), str(r["completions"])] for r in found["signals"]]
        console.print(wrapping_table(SIGNAL_HEAD, rows, "Does a signal tell right from wrong?"))
    for sentence in (*found["leads"], *found["advice"]):
        console.print(sentence)


def print_collapse(found: Mapping[str, Any], console: Console) -> None:
    """Print what a run of --collapse-step showed."""
    when = f"step {found['mcs']}" if found["mcs"] is not None else f"> {found['steps']} (no collapse in the run)"
    peak = "no fall" if found["peak_step"] is None else f"falls from step {found['peak_step']}"
    first, last = found["curve"][0][1], found["curve"][-1][1]
    console.print(
        f"Model Collapse Step: {when}. Reward accuracy {percent(first)} % at the first step, {percent(last)} % at the "
        f"last; {peak}."
    )


def facts(found: Mapping[str, Any]) -> list[str]:
    """The figures without a table, as sentences."""
    a, truth, pairs = found["agreement"], found["truth"], found["pairs"]
    lines = [
        f"Decided {percent(a['decided'])} %, open {percent(a['open'])} %, hopeless {percent(a['hopeless'])} % of the "
        f"prompts; unanimous {percent(a['unanimous'])} %, tied {percent(a['tied'])} %; majority ratio "
        f"{percent(a['ratio'])} % in the mean.",
        f"No answer {percent(a['no_answer'])} %, cut off {percent(a['truncated'])} %, the most common answer over all "
        f"prompts {percent(a['concentration'])} % of the completions; {a['tokens']:.0f} tokens each.",
    ]
    if a["failed"]:
        lines.append(f"{a['failed']} prompts got no completions and are left out: too long, or refused.")
    if truth is not None:
        avg, maj = truth["avg"], truth["maj"]
        lines.append(
            f"avg@1 {percent(avg['value'])} % ({percent(avg['low'])} to {percent(avg['high'])}), maj@{a['n']} "
            f"{percent(maj['value'])} % ({percent(maj['low'])} to {percent(maj['high'])}): what sharpening can reach."
        )
    if pairs is not None:
        lines.append(f"Two wordings elect the same answer on {percent(pairs['agree'])} % of {pairs['pairs']} pairs.")
    for name, of in found["cost"].items():
        what = "This forecast" if name == "forecast" else f"A training of {of['steps']} steps"
        lines.append(
            f"{what}: {of['completions']:,} completions, {of['read']:,} tokens read, {of['written']:,} written."
        )
    return lines


def number(value: float | None) -> str:
    """Two decimals; nothing for None.

    >>> number(0.5), number(None)
    ('0.50', '')
    """
    return "" if value is None else f"{value:.2f}"


def _bin_row(agreement: Mapping[str, Any], truth: Mapping[str, Any] | None, i: int) -> list[str]:
    low, high, share = agreement["histogram"][i]
    name = "all agree" if low == high else f"{low:g} to {high:g}"
    known = None if truth is None else truth["by_bin"][i]
    cells = ["", "", ""]
    if known is not None:
        cells = [percent(known["value"]), f"{percent(known['low'])}–{percent(known['high'])}", str(known["prompts"])]
    return [name, percent(share), *cells]


def _noise_row(name: str, noise: Mapping[str, Any]) -> list[str]:
    labels, bias = noise["label_accuracy"], noise["bias"] or {}
    youden, clustered = noise["youden"] or {}, noise["youden_by_prompt"] or {}
    return [
        name,
        "" if labels is None else percent(labels["value"]),
        "" if labels is None else f"{percent(labels['low'])}–{percent(labels['high'])}",
        "" if noise["accuracy"] is None else percent(noise["accuracy"]),
        number(youden.get("j")),
        number(youden.get("error")),
        number(clustered.get("error")),
        *(number(bias.get(key)) for key in ("noise", "skew", "coupling")),
    ]
