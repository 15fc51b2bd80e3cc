"""What a batch's votes look like, as a whole and by how sure they were."""

from selfrl.group_record import GroupRecord
from selfrl.monitor.labels import LabelWatch


def record(keys: str, right: bool | None, name: str = "a") -> GroupRecord:
    answers = tuple(None if key == "-" else key for key in keys)
    n = len(keys)
    return GroupRecord(name, 0, answers, answers[0], right, (1.0,) * n, (3,) * n, (False,) * n)


def test_accuracy_is_told_by_thirds_of_the_majority_ratio() -> None:
    records = [record("4444", True), record("45--", False), record("4456", False), record("4445", True)]
    figures = LabelWatch()([*records, record("78--", None)])
    assert figures["labels/label_accuracy"] == 0.5
    assert figures["labels/label_accuracy/low"] == 0
    assert figures["labels/label_accuracy/middle"] == 0
    assert figures["labels/label_accuracy/high"] == 1
    assert figures["labels/labelled"] == 1


def test_without_gold_answers_nothing_is_said_of_them() -> None:
    assert not any("accuracy" in name for name in LabelWatch()([record("44", None)]))
    assert LabelWatch()([]) == {}
