"""Task files: those that ship, and the faults that are refused."""

from pathlib import Path

import pytest
import yaml

from selfrl.eval import load_tasks
from selfrl.eval.task import FOLDER, STYLES, task_names

SHIPPED = (
    "aime24 aime25 amc23 bbh cruxeval gpqa_diamond gsm8k math500 minerva mmlu_pro olympiadbench pretext pretext_text "
    "reasoning_gym svamp tiny_chains tiny_problems"
).split()


def test_every_shipped_task_loads() -> None:
    assert task_names() == SHIPPED
    tasks = [task for name in SHIPPED for task in load_tasks(name)]
    assert len({task.name for task in tasks}) == len(tasks) == 27 + 28 + 2 + 14
    for task in tasks:
        assert "{member}" not in str(task.data) + task.about
        assert all(task.layout(style).strict for style in STYLES)


def test_completions_are_about_two_thousand() -> None:
    sizes = {
        "aime24": 30,
        "aime25": 30,
        "amc23": 40,
        "math500": 500,
        "gsm8k": 1319,
        "gpqa_diamond": 198,
        "minerva": 272,
    }
    for name, questions in sizes.items():
        (task,) = load_tasks(name)
        assert 1500 <= task.samples * questions <= 3000, name


def test_members_of_families_differ_where_they_say() -> None:
    (words,), (plain,) = load_tasks("bbh:word_sorting"), load_tasks("bbh:navigate")
    assert (words.grading, plain.grading) == ("words", "text")
    assert plain.data.config == "navigate"
    asked, answered = load_tasks("cruxeval")
    assert (asked.grading, answered.grading) == ("call", "literal")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gsm8", "did you mean `gsm8k`"),
        ("bbh:navigat", "did you mean `navigate`"),
        ("gsm8k:main", "has no members"),
        ("no/such.yaml", "does not exist"),
    ],
)
def test_unknown_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_tasks(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"promt": 1}, "Unknown key `promt` in .*: no valid|did you mean"),
        ({"grading": "maths"}, "Unknown grading `maths`.*did you mean `math`"),
        ({"flexible": ["box"]}, "Unknown rule `box`.*did you mean `boxed`"),
        ({"chat": {"prompt": "x"}}, "`chat` of .* lacks the key `strict`"),
        ({"chat": "x"}, "must be a mapping"),
        ({"data": {"path": "x", "hub": "y"}}, "exactly one of path, hub and generator"),
        ({"grading": "choice"}, "give it `choices`"),
        ({"samples": 0}, "1 or more"),
        ({"samples": "many"}, "`samples` in .* must be a whole number"),
        ({"flexible": 3}, "`flexible` in .* must be a text or a list of texts"),
        ({"members": "a b", "about": None}, "lacks the key `about`"),
        ({"version": None}, "lacks the key `version`"),
    ],
)
def test_faulty_files_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    values = yaml.safe_load((FOLDER / "gsm8k.yaml").read_text()) | change
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in values.items() if value is not None}))
    with pytest.raises(ValueError, match=message):
        load_tasks(str(path))


def test_a_task_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "sums.yaml"
    path.write_text((FOLDER / "gsm8k.yaml").read_text())
    assert load_tasks(str(path))[0].name == "sums"
    path.write_text("a: [")
    with pytest.raises(ValueError, match="is no YAML"):
        load_tasks(str(path))
    path.write_text("- 1")
    with pytest.raises(ValueError, match="not a YAML mapping"):
        load_tasks(str(path))
