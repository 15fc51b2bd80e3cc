"""Every case of the corpus by kind; the files say what is right and by whose convention."""

from collections import Counter

import pytest
from support.answer_corpus import Case, cases

CASES = list(cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.text}"[:100])
def test_a_case_is_read_rightly(case: Case) -> None:
    assert case.is_right()


def test_every_kind_has_ten_siblings_at_least() -> None:
    sizes = Counter(case.kind for case in CASES)
    assert len(sizes) >= 15
    assert min(sizes.values()) >= 10
    assert sum(sizes.values()) >= 400
