import json
from pathlib import Path

from rich.console import Console

from selfrl.eval import SampledAccuracy
from selfrl.quickstart import Arm, write_report


def accuracy(avg: float) -> SampledAccuracy:
    return SampledAccuracy(avg=avg, stderr=0.01, maj=0.9, no_answer=0.02, length=30.0, questions=250, n=8)


def test_the_report_holds_the_table_the_plot_and_the_figures(tmp_path: Path) -> None:
    arms = [
        Arm(name, accuracy(after), [(0, 0.6), (10, after)], [(5, 0.5), (10, 0.7)], 12.0)
        for name, after in (("co_rewarding_i", 0.775), ("random", 0.62))
    ]
    write_report(tmp_path, 0, accuracy(0.65), arms, Console(quiet=True))
    report = (tmp_path / "report.md").read_text()
    assert "| co_rewarding_i | 77.5% | +12.5 |" in report
    assert "| random | 62.0% | -3.0 |" in report
    assert "250 held-out questions x 8 samples" in report
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    results = json.loads((tmp_path / "results.json").read_text())
    assert [arm["after"]["avg"] for arm in results["arms"]] == [0.775, 0.62]
