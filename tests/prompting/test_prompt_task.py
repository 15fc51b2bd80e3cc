"""Task files, in the authors' form and malformed."""

from pathlib import Path

import pytest

from selfrl.prompting import Example, load_task
from selfrl.prompting.prompt_task import task_of

AUTHORS = """
prompt: |
  Please think step by step.
  Ensure the response concludes with the answer in the XML format:
  <answer>[Yes or No]</answer>.

requirements: |
  Must put the final answer at the end with XML. <answer>(Yes or No)</answer>,such as <answer>Yes</answer>

count: None

qa:
  - question: |
      If you follow these instructions, do you return to the starting point?
      Options:
      - Yes
      - No

    answer: |
      A lot of thinking and analysis processes.
      ...
      <answer>Yes</answer>

  - question: |
      Write a poem about snow.
    answer: |
      None
"""


def test_the_authors_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "Navigate.yaml").write_text(AUTHORS)
    task = load_task(tmp_path / "Navigate.yaml")
    assert task.prompt.startswith("Please think step by step.\nEnsure")
    assert task.prompt.endswith("<answer>[Yes or No]</answer>.")
    assert task.requirements is not None
    assert task.count is None
    first, second = task.qa
    assert first.answer == "A lot of thinking and analysis processes.\n...\n<answer>Yes</answer>"
    assert second == Example("Write a poem about snow.", None)


@pytest.mark.parametrize(("count", "expected"), [("None", None), (None, None), (50, 50), ("50", 50), ("", None)])
def test_count_is_words_or_nothing(count: object, expected: int | None) -> None:
    assert task_of({"prompt": "p", "count": count, "qa": [{"question": "q"}]}, "the task").count == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt: p", "has no questions: list some under `qa`"),
        ("qa: [{question: q}]", "has no `prompt`"),
        ("prompt: ' '\nqa: [{question: q}]", "has no `prompt` to start from"),
        ("promt: p\nqa: []", "Unknown key `promt` in the task file .*: did you mean `prompt`"),
        ("prompt: p\nqa: q", "`qa` of the task file .* must be a list"),
        ("prompt: p\nqa: [q]", "`qa` of the task file .* must be a list"),
        ("prompt: p\nqa: [{question: None}]", "Row 0 of `qa` .* has no question"),
        ("prompt: p\nqa: [{question: q, anser: a}]", "Unknown key `anser` in row 0"),
        ("prompt: p\ncount: many\nqa: [{question: q}]", "`count` .* is 'many'"),
        ("prompt: p\ncount: 0\nqa: [{question: q}]", "`count` is 0"),
        ("- a\n- b", "is not a mapping"),
        ("a: [", "is no YAML"),
    ],
)
def test_malformed_files_are_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_task(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(ValueError, match=r"none\.yaml does not exist"):
        load_task("none.yaml")
