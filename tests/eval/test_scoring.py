"""Samples and scores of known completions."""

from typing import Any

import pytest

from selfrl.eval import Settings, load_tasks
from selfrl.eval.jobs import plan
from selfrl.eval.questions import Question
from selfrl.eval.scoring import grade, score
from selfrl.generation import Generation

(GSM8K,) = load_tasks("gsm8k")


def generations(*texts: str, reason: Any = "stop") -> list[Generation]:
    return [Generation(text, reason, 5, len(text)) for text in texts]


def question(gold: str, number: int = 0) -> Question:
    return Question(number, "q", "q", gold, {})


def test_strict_asks_for_the_form_and_flexible_takes_any() -> None:
    texts = [r"\boxed{4}", "#### 4", "so 4 apples", "4 or 5", "none"]
    samples = grade(GSM8K, "chat", question("4"), generations(*texts))
    assert [s.answer for s in samples] == ["4", None, None, None, None]
    assert [s.answer_flexible for s in samples] == ["4", "4", "4", "5", None]
    assert [s.correct for s in samples] == [True, False, False, False, False]
    assert [s.correct_flexible for s in samples] == [True, True, True, False, False]
    base = grade(GSM8K, "base", question("4"), generations(*texts))
    assert [s.correct for s in base] == [False, True, False, False, False]


def test_a_wrong_answer_in_the_right_form_is_not_saved_by_another() -> None:
    (sample,) = grade(GSM8K, "base", question("4"), generations("#### 5 (or 4)\n#### 5"))
    assert (sample.answer, sample.correct, sample.correct_flexible) == ("5", False, False)


def test_scores_by_hand() -> None:
    groups = [
        grade(GSM8K, "chat", question("1", 0), generations(r"\boxed{1}", r"\boxed{1}", r"\boxed{2}")),
        grade(GSM8K, "chat", question("2", 1), generations("2", r"\boxed{3}", r"\boxed{9^{9^{9}}}", reason="length")),
        [],
    ]
    scores = score(groups)
    assert (scores.questions, scores.n, scores.failed) == (2, 3, 1)
    assert scores.avg == pytest.approx((2 / 3 + 0) / 2)
    assert scores.flexible == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert scores.maj == 0.5
    assert scores.pass_at == {2: pytest.approx(0.5), 3: pytest.approx(0.5)}
    assert scores.maj_at[3] == scores.maj
    assert scores.no_answer == pytest.approx(1 / 6)
    assert scores.undecided == pytest.approx(1 / 6)
    assert scores.truncated == pytest.approx(0.5)
    assert scores.low <= scores.avg <= scores.high
    assert scores.tokens == pytest.approx((9 + 9 + 9 + 1 + 9 + 17) / 6)


def test_accuracy_is_averaged_over_questions_and_unanswered_counts_as_wrong() -> None:
    (task,) = load_tasks("tiny_problems")
    texts = [[rf"so \boxed{{{answer}}}" for answer in "4454"], [r"so \boxed{9}", "no", "no", "no"]]
    groups = [
        grade(task, "base", question(g, i), generations(*t)) for i, (g, t) in enumerate(zip("49", texts, strict=True))
    ]
    scores = score(groups)
    assert scores.avg == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert scores.maj == 1.0
    assert scores.no_answer == pytest.approx(3 / 8)
    assert (scores.questions, scores.n) == (2, 4)


def test_majority_may_be_wrong_where_one_sample_is_right() -> None:
    (task,) = load_tasks("tiny_problems")
    scores = score([grade(task, "base", question("4"), generations(r"\boxed{7}", r"\boxed{7}", r"\boxed{4}"))])
    assert (scores.avg, scores.maj) == (pytest.approx(1 / 3), 0.0)


def test_as_many_groups_as_questions_are_graded() -> None:
    (job,) = plan("tiny", ["tiny_problems"], Settings(limit=2))
    with pytest.raises(ValueError, match="shorter"):
        job.grade([generations(r"\boxed{1}")])


def test_uneven_or_missing_samples_are_refused() -> None:
    one, two = (grade(GSM8K, "chat", question("1"), generations(*["1"] * n)) for n in (1, 2))
    with pytest.raises(ValueError, match=r"Questions have \[1, 2\] samples"):
        score([one, two])
    with pytest.raises(ValueError, match="Questions have no samples"):
        score([[], []])
