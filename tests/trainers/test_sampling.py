from hypothesis import given
from hypothesis import strategies as st

from selfrl.trainers.prompt_source import PairedRepeatSampler


@given(
    pairs=st.integers(1, 12),
    group=st.integers(1, 4),
    per_batch=st.integers(1, 4),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 9),
)
def test_every_generation_batch_holds_whole_pairs_of_whole_groups(
    pairs: int, group: int, per_batch: int, repeats: int, seed: int
) -> None:
    rows = [(2 * p + 1, 2 * p) for p in range(pairs)]
    sampler = PairedRepeatSampler(rows, group, per_batch, repeats, seed=seed)
    drawn = list(sampler)
    size = per_batch * 2 * group
    assert len(drawn) == len(sampler) == pairs // per_batch * size * repeats
    batches = [drawn[i : i + size] for i in range(0, len(drawn), size)]
    for batch in batches:
        for start in range(0, size, 2 * group):
            first, second = batch[start], batch[start + group]
            assert batch[start : start + group] == [first] * group
            assert batch[start + group : start + 2 * group] == [second] * group
            assert (first, second) in rows
    for start in range(0, len(batches), repeats):
        assert all(b == batches[start] for b in batches[start : start + repeats])
    served = [b for batch in batches[::repeats] for b in batch[:: 2 * group]]
    assert len(served) == len(set(served))


def test_the_seed_fixes_the_order_and_no_shuffle_keeps_it() -> None:
    rows = [(2 * p, 2 * p + 1) for p in range(20)]
    assert list(PairedRepeatSampler(rows, 1, seed=3)) == list(PairedRepeatSampler(rows, 1, seed=3))
    assert list(PairedRepeatSampler(rows, 1, seed=3)) != list(PairedRepeatSampler(rows, 1, seed=4))
    assert list(PairedRepeatSampler(rows, 1, shuffle=False)) == list(range(40))
