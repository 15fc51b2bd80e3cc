"""lm-evaluation-harness with a task of one's own on the packaged model."""

import json
from pathlib import Path

import pytest

from selfrl.cli import main
from selfrl.data.tiny import tiny_problems
from selfrl.eval import Settings, evaluate
from selfrl.eval.harness import check_harness, run_harness

pytest.importorskip("lm_eval")
TASK = """
task: tiny_sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{file}"}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: ["\\n\\n"], max_gen_toks: 40, do_sample: false}}
filter_list:
  - name: boxed
    filter:
      - {{function: regex, regex_pattern: 'boxed.(\\d+)'}}
      - {{function: take_first}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""


@pytest.mark.slow
def test_the_harness_and_selfrl_give_one_score(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in tiny_problems("heldout", 200)))
    (tmp_path / "tiny_sums.yaml").write_text(TASK.format(file=rows))
    check_harness(["tiny_sums"], Settings(), tmp_path)
    found = run_harness("tiny", ["tiny_sums"], Settings(limit=60), "base", tmp_path)
    assert [(row["task"], row["metric"]) for row in found] == [("tiny_sums", "exact_match (boxed)")]
    ours = evaluate("tiny", ["tiny_problems"], limit=60, n=1, cache=tmp_path / "cache.sqlite")
    assert found[0]["value"] == pytest.approx(ours["tiny_problems"].scores.avg)
    assert found[0]["stderr"] >= 0
    assert found[0]["questions"] == 60
    command = ["eval", "tiny", "--tasks", "lm_eval:tiny_sums,tiny_problems", "--lm-eval-tasks", str(tmp_path)]
    more = ["--limit", "60", "--n", "1", "--control", "0", "--out", str(tmp_path / "out")]
    assert main([*command, *more, "--cache", str(tmp_path / "cache.sqlite")]) == 0
    report = (tmp_path / "out" / "report.md").read_text()
    score = f"{100 * found[0]['value']:.1f}"
    assert f"| lm_eval:tiny_sums exact_match (boxed) | 60 | {score} |" in report
    assert f"| tiny_problems | 60 x 1 | {score} |" in report


@pytest.mark.slow
def test_the_harness_is_given_the_system_prompt(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in tiny_problems("heldout", 200)))
    (tmp_path / "tiny_sums.yaml").write_text(TASK.format(file=rows))
    given = {"limit": 20, "system_prompt": "Add."}
    found = run_harness("tiny", ["tiny_sums"], Settings(**given), "base", tmp_path)  # type: ignore[arg-type]
    ours = evaluate("tiny", ["tiny_problems"], n=1, cache=tmp_path / "cache.sqlite", **given)
    assert found[0]["value"] == pytest.approx(ours["tiny_problems"].scores.avg)
    assert 0 < found[0]["value"] < 0.5  # right on nearly all without


def test_unknown_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="has no task 'ifevall'"):
        check_harness(["ifeval", "ifevall"], Settings())
    with pytest.raises(ValueError, match="give --base-url"):
        check_harness(["ifeval"], Settings(backend="endpoint"))
    with pytest.raises(ValueError, match="reads its key from OPENAI_API_KEY"):
        check_harness(["ifeval"], Settings(backend="endpoint", base_url="http://x/v1", api_key_env="KEY"))
