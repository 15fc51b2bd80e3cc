"""Prompts and gold answers from rows of the shapes that the data sets have."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from selfrl.eval import load_tasks
from selfrl.eval.questions import QuestionSet, load_questions, read_rows
from selfrl.eval.task import Source, Style

GSM8K = [
    {"question": f"What is {i} + 1?", "answer": f"{i} + 1 = <<{i}+1={i + 1}>>{i + 1}\n#### {i + 1}"} for i in range(6)
]
ROWS: dict[str, list[dict[str, Any]]] = {
    "gsm8k": GSM8K,
    "math500": [{"problem": "Half of $1$?", "answer": r"\frac{1}{2}", "subject": "Algebra"}],
    "olympiadbench": [{"question": "Solve.", "final_answer": ["2", "-2"]}],
    "svamp": [{"Body": "Ann has 3 pens. ", "Question": "How many pens?", "Answer": "3.0"}],
    "gpqa_diamond": [
        {
            "Question": "Which?",
            "Correct Answer": "right",
            "Incorrect Answer 1": "w1",
            "Incorrect Answer 2": "w2",
            "Incorrect Answer 3": "w3",
        }
    ]
    * 12,
    "mmlu_pro": [
        {"question": "Which?", "options": list("abcdefghij"), "answer": "J", "answer_index": 9, "cot_content": "Hm."}
    ],
    "cruxeval:output": [{"code": "def f(x):\n    return x", "input": "3", "output": "3", "id": "s0"}],
    "bbh:navigate": [{"input": "Do you?\nOptions:\n- Yes\n- No", "target": "No"}],
}


def questions(name: str, folder: Path, style: Style = "chat", system: str | None = None, **options: Any) -> QuestionSet:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[name]))
    (task,) = load_tasks(name)
    source = Source(path=str(path))
    task = replace(task, chat=replace(task.chat, system=system), base=replace(task.base, system=system))
    return load_questions(replace(task, data=source, shots_data=task.shots_data and source), style, **options)


@pytest.mark.parametrize(
    ("name", "gold", "parts"),
    [
        ("gsm8k", "1", ["What is 0 + 1?", r"within \boxed{}."]),
        ("math500", r"\frac{1}{2}", ["Half of $1$?"]),
        ("olympiadbench", "2, -2", ["Solve."]),
        ("svamp", "3.0", ["Ann has 3 pens. How many pens?"]),
        ("mmlu_pro", "J", ["Which?", "(A) a\n(B) b", "(J) j"]),
        ("cruxeval:output", "3", ["assert f(3) == ??"]),
        ("bbh:navigate", "No", ["Do you?"]),
    ],
)
@pytest.mark.parametrize("style", ["chat", "base"])
def test_rows_become_prompts(name: str, gold: str, parts: list[str], style: Style, tmp_path: Path) -> None:
    found = questions(name, tmp_path, style, shots=0)
    first = found.questions[0]
    assert first.gold == gold
    assert isinstance(first.prompt, str) == (style == "base")
    text = first.prompt if isinstance(first.prompt, str) else first.prompt[-1]["content"]
    assert all(part in text for part in parts if style == "chat" or "boxed" not in part)
    assert len(found.questions) == len(ROWS[name])
    assert found.ungradable == 0


def test_options_are_shuffled_by_the_data_seed_alone(tmp_path: Path) -> None:
    def letters(seed: int) -> str:
        return "".join(q.gold for q in questions("gpqa_diamond", tmp_path, data_seed=seed).questions)

    assert letters(0) == letters(0) != letters(1)
    assert set(letters(0)) == set("ABCD")
    for question in questions("gpqa_diamond", tmp_path).questions:
        assert f"({question.gold}) right" in question.prompt[-1]["content"]  # type: ignore[index]


def test_examples_are_the_first_rows_in_both_styles(tmp_path: Path) -> None:
    base = questions("gsm8k", tmp_path, "base", shots=2).questions[3].prompt
    shots = "".join(f"Question: {row['question']}\nAnswer: {row['answer']}\n\n" for row in GSM8K[:2])
    assert base == f"{shots}Question: What is 3 + 1?\nAnswer:"
    assert questions("gsm8k", tmp_path, "base").questions[0].prompt.count("Question:") == 6  # type: ignore[union-attr]
    chat = questions("gsm8k", tmp_path, "chat", shots=1).questions[3].prompt
    assert [message["role"] for message in chat] == ["user", "assistant", "user"]  # type: ignore[index]
    assert chat[1]["content"] == "0 + 1 = <<0+1=1>>1\n\\boxed{1}"  # type: ignore[index]
    with pytest.raises(ValueError, match="6 examples, 9 are asked for"):
        questions("gsm8k", tmp_path, shots=9)
    with pytest.raises(ValueError, match="no data for examples"):
        questions("math500", tmp_path, shots=1)


def test_a_system_prompt_stands_before_everything_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = "Say {{ gold }}: {% raw %} {0} \\boxed{}\n{# all #}"
    shot, asked = "Question: What is 0 + 1?\nAnswer: 0 + 1 = <<0+1=1>>1\n#### 1", "Question: What is 3 + 1?\nAnswer:"
    for shots, examples in ((0, ""), (1, f"{shot}\n\n")):
        base = questions("gsm8k", tmp_path, "base", system, shots=shots).questions[3].prompt
        assert base == f"{system}\n\n{examples}{asked}"
        chat = questions("gsm8k", tmp_path, "chat", system, shots=shots).questions[3].prompt
        assert chat[0] == {"role": "system", "content": system}  # type: ignore[index]
        assert chat[1:] == questions("gsm8k", tmp_path, "chat", shots=shots).questions[3].prompt


def test_hashes_tell_data_from_prompts(tmp_path: Path) -> None:
    plain, shot = (questions("gsm8k", tmp_path, "base", shots=k) for k in (0, 1))
    assert plain.data_hash == shot.data_hash
    assert plain.prompts_hash != shot.prompts_hash
    told = questions("gsm8k", tmp_path, "base", "Add.", shots=0)
    assert told.data_hash == plain.data_hash
    assert told.prompts_hash not in (plain.prompts_hash, shot.prompts_hash)
    assert questions("gsm8k", tmp_path, limit=2).data_hash != plain.data_hash
    assert [q.id for q in questions("gsm8k", tmp_path, limit=2).questions] == [0, 1]


def test_questions_without_a_readable_gold_answer_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "math500", [{"problem": "a", "answer": "9^{9^{9}}"}, {"problem": "b", "answer": "2"}])
    found = questions("math500", tmp_path)
    assert (found.ungradable, [q.id for q in found.questions]) == (1, [1])
    with pytest.raises(ValueError, match="No question is left"):
        questions("math500", tmp_path, limit=1)


def test_a_missing_column_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "math500", [{"question": "a", "answer": "2"}])
    with pytest.raises(ValueError, match=r"the task math500: 'problem' is undefined; the data has the columns"):
        questions("math500", tmp_path)
    monkeypatch.setitem(ROWS, "mmlu_pro", [{"question": "a", "options": ["x"], "answer_index": 4}])
    with pytest.raises(ValueError, match="option 4 of 1 cannot be right"):
        questions("mmlu_pro", tmp_path)
    monkeypatch.setitem(ROWS, "mmlu_pro", [{"question": "a"}])
    with pytest.raises(ValueError, match="no column 'options'"):
        questions("mmlu_pro", tmp_path)


def test_data_cannot_run_template_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = "{{ ''.__class__.__mro__ }}"
    monkeypatch.setitem(ROWS, "math500", [{"problem": attack, "answer": "2"}])
    assert attack in questions("math500", tmp_path).questions[0].prompt[-1]["content"]  # type: ignore[index]


def test_json_files_hold_one_list(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps({"canary": "x", "examples": ROWS["bbh:navigate"]}))
    assert read_rows(Source(path=str(path))) == ROWS["bbh:navigate"]
    path.write_text(json.dumps(ROWS["bbh:navigate"]))
    assert read_rows(Source(path=str(path))) == ROWS["bbh:navigate"]
    for text in ("{}", "3", "[1, 2]", '{"a": [], "b": []}'):
        path.write_text(text)
        with pytest.raises(ValueError, match="must be a list of rows"):
            read_rows(Source(path=str(path)))
    for name in ("broken.json", "broken.jsonl"):
        (tmp_path / name).write_text('{"a": ')
        with pytest.raises(ValueError, match=r"cannot be read"):
            read_rows(Source(path=str(tmp_path / name)))
    with pytest.raises(ValueError, match="does not exist"):
        read_rows(Source(path=str(tmp_path / "none.json")))


def test_procedural_problems_follow_their_seed() -> None:
    pytest.importorskip("reasoning_gym")
    source = Source(generator="chain_sum", size=5)
    assert read_rows(source, 1) == read_rows(source, 1) != read_rows(source, 2)
    with pytest.raises(ValueError, match="cannot make problems of 'chainsum'"):
        read_rows(Source(generator="chainsum"))


@pytest.mark.parametrize("task", load_tasks("reasoning_gym"), ids=lambda task: task.data.generator)
def test_gold_answers_of_procedural_families_are_right(task: Any) -> None:
    pytest.importorskip("reasoning_gym")
    found = load_questions(replace(task, data=replace(task.data, size=20)), "chat")
    assert (len(found.questions), found.ungradable) == (20, 0)


@pytest.mark.parametrize(
    ("name", "change", "left"),
    [
        ("gsm8k", {"answer": None}, 5),
        ("gsm8k", {"question": None}, 5),
        ("gsm8k", {"question": "  "}, 5),
        ("math500", {"answer": None}, 0),
        ("gpqa_diamond", {"Correct Answer": None}, 11),
        ("gpqa_diamond", {"Incorrect Answer 2": None}, 11),
        ("mmlu_pro", {"answer_index": None}, 0),
    ],
)
def test_rows_with_nulls_are_left_out_and_counted(
    name: str, change: dict[str, Any], left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROWS, name, [{**ROWS[name][0], **change}, *ROWS[name][1:]])
    if left == 0:
        with pytest.raises(ValueError, match="No question is left"):
            questions(name, tmp_path)
        return
    found = questions(name, tmp_path, shots=0)
    assert (len(found.questions), found.ungradable) == (left, 1)
    assert "None" not in str([question.prompt for question in found.questions])


def test_examples_with_nulls_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROWS, "gsm8k", [{**GSM8K[0], "answer": None}, *GSM8K[1:]])
    prompt = questions("gsm8k", tmp_path, style="base", shots=2).questions[0].prompt
    assert "None" not in prompt
    assert prompt.index("What is 1 + 1?") < prompt.index("What is 2 + 1?")


def test_a_gold_answer_of_many_digits_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = 123456789012345678901234567890
    monkeypatch.setitem(ROWS, "math500", [{"problem": "How many?", "answer": huge, "subject": "Algebra"}])
    assert questions("math500", tmp_path).questions[0].gold == str(huge)
