"""Results are written as JSON that any reader takes."""

import json

import pytest

from selfrl.compare.result_text import result_text

VALUES = {
    "arm": 'a "quoted"\nname, größer',
    "curve": [{"step": 0, "pass_at": {2: 0.5}, "none": {}}, {"step": 5, "low": None}],
    "questions": [{"step": 0, "votes": [[i, 8, 0.3333, 1.0, 0.0] for i in range(50)]}],
    "labels": [(5, 0.5), (10, 1e-7)],
    "empty": [],
    "nested": [[], [[]], [{}]],
}


@pytest.mark.parametrize("value", [VALUES, [VALUES, VALUES], {}, [], 3, None, "x"])
def test_it_holds_what_json_holds(value: object) -> None:
    assert json.loads(result_text(value)) == json.loads(json.dumps(value))


def test_a_vote_takes_a_line() -> None:
    lines = [line.strip() for line in result_text(VALUES).splitlines()]
    assert lines.count("[7, 8, 0.3333, 1.0, 0.0],") == 1
    assert len(lines) < 100
