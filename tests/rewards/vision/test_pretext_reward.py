"""The reward of pretext tasks, alone and mixed."""

import pickle

import pytest

from selfrl.rewards import PretextReward
from selfrl.rewards.vision import Jigsaw, Rotation


def reward(said: list[str], task: str, gold: str, **options: object) -> list[float | None]:
    rows = len(said)
    return PretextReward(**options)(["?"] * rows, said, task=[task] * rows, answer=[gold] * rows)  # type: ignore[arg-type]


def test_each_row_is_graded_by_its_own_task() -> None:
    said = ["<answer>90</answer>", "<answer>90</answer>", "<answer>Top left</answer>", "<answer>2 4 1 3</answer>"]
    tasks = [Rotation().spec(), Rotation(step=180).spec(), "position", Jigsaw().spec()]
    golds = ["90", "180", "top-left", "2,4,1,3"]
    assert PretextReward()(["?"] * 4, said, task=tasks, answer=golds) == [1, 0, 1, 1]


def test_the_lenient_graders_of_the_authors_are_not_ours() -> None:
    gold = "2,4,1,3"
    said = ["2", "1,1,1,1", "2,4,1,3,9", "2,4,1,3"]
    assert reward([f"<answer>{s}</answer>" for s in said], "jigsaw", gold) == [0, 0, 0, 1]
    assert reward(["2,4,1,3", "The answer is 90"], "jigsaw", gold) == [0, 0]


def test_boxes_where_they_are_asked_for() -> None:
    assert reward([r"\boxed{90}", "<answer>90</answer>"], "rotation", "90", answer_in="box") == [1, 0]


def test_a_missing_tag_is_logged_apart_from_a_wrong_answer() -> None:
    logged: dict[str, float] = {}
    extras: dict[str, list[object]] = {}
    said = ["<answer>90</answer>", "<answer>180</answer>", "<answer>45</answer>", "90"]
    PretextReward()(
        ["?"] * 4,
        said,
        task=["rotation"] * 4,
        answer=["90"] * 4,
        log_metric=logged.__setitem__,
        log_extra=extras.__setitem__,
    )
    assert logged["PretextReward/rotation/right"] == 0.25
    assert logged["PretextReward/rotation/no_tag"] == 0.25
    assert logged["PretextReward/rotation/no_answer"] == 0.25
    assert logged["PretextReward/rotation/over_chance"] == pytest.approx(0.0)
    assert extras["PretextReward/answer"] == ["90", "180", None, None]


def test_bad_input_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"Unknown pretext task `rotatoin`.*did you mean `rotation`"):
        reward(["x"], "rotatoin", "90")
    with pytest.raises(ValueError, match="Unknown option `stp` of the pretext task rotation"):
        reward(["x"], '{"task": "rotation", "stp": 90}', "90")
    with pytest.raises(ValueError, match="no JSON"):
        reward(["x"], "{", "90")
    with pytest.raises(ValueError, match="has credit 'half'"):
        PretextReward(credit="half")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has answer_in 'line'"):
        PretextReward(answer_in="line")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs the columns 'task' and 'answer'"):
        PretextReward()(["?"], ["x"])


def test_it_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(PretextReward(credit="places")))
    assert copy(["?"], ["<answer>1,2,4,3</answer>"], task=["jigsaw"], answer=["1,2,3,4"]) == [0.5]
