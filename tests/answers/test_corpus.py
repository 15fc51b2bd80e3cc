"""Every case of the corpus by kind; the files say what is right and by whose convention."""

from itertools import groupby

import pytest
from support.answer_corpus import Case, cases

KINDS = {kind: list(group) for kind, group in groupby(sorted(cases(), key=lambda c: c.kind), key=lambda c: c.kind)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_cases_of_a_kind_are_read_rightly(kind: str) -> None:
    wrong: list[Case] = [case for case in KINDS[kind] if not case.is_right()]
    assert [case.text for case in wrong] == []


def test_every_kind_has_ten_siblings_at_least() -> None:
    assert len(KINDS) >= 15
    assert min(map(len, KINDS.values())) >= 10
    assert sum(map(len, KINDS.values())) >= 400
