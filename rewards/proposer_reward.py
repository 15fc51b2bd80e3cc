"""What a proposer earns for a question by how a solver fares with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, Literal, get_args

from selfrl.answers import merge_keys, read_answer
from selfrl.conversation import conversation
from selfrl.distributed import gathered, shared_out
from selfrl.generation import Generator, Prompt, Sampling, load_generator, seed_of
from selfrl.generation.load import BACKENDS, Backend
from selfrl.rewards import proposer
from selfrl.rewards.contract import BaseReward, Batch, Scores, share_abstaining
from selfrl.rewards.execution import verdicts
from selfrl.rewards.near_duplicates import cluster_shares
from selfrl.rewards.program_check import UNDECIDED
from selfrl.rewards.proposals import Items, checked_items, has_role_marks
from selfrl.rewards.proposed_items import ProposedItem, read_item
from selfrl.suggest import refuse_unknown

Rule = Literal["r_zero", "absolute_zero", "learnability", "hard", "medium", "sqlm", "spice"]
POLICY = "policy"
# from the solve rate (None: malformed or invalid), whether the form was kept, and the share of near duplicates
_RULES: Mapping[str, Callable[[float | None, bool, float], float]] = {
    "r_zero": lambda rate, formatted, share: proposer.r_zero(rate, share),
    "absolute_zero": lambda rate, formatted, share: proposer.absolute_zero(rate, formatted),
    "learnability": lambda rate, formatted, share: 0.0 if rate is None else proposer.learnability(rate),
    "hard": lambda rate, formatted, share: proposer.hard(rate),
    "medium": lambda rate, formatted, share: proposer.medium(rate),
    "sqlm": lambda rate, formatted, share: float(rate is not None and 0 < rate < 1),
    "spice": lambda rate, formatted, share: proposer.spice(rate),
}


class ProposerReward(BaseReward):
    """A rule of [`selfrl.rewards.proposer`] on the rate at which a solver's samples agree, or are right.

    The completion is a proposal, see [`selfrl.rewards.proposals`]. A question has the rate p = votes of the majority
    among all n samples, those without an answer too (R-Zero's server); a program, which is run in the limited child,
    the share of samples that running it proves right. Equal proposals of the batch are asked once. "r_zero" subtracts
    the share of the batch, over all processes, that is nearly the same ([`selfrl.rewards.near_duplicates`]). A program
    that may not be run is invalid, and so is what holds a chat's role marks, by which a proposer could answer itself.

    Abstains (None): a proposal that the solver failed to answer for good, or of which nothing could be decided.

    Args:
        solver: "policy" is the model in training, which needs a trainer of selfrl; else a model folder, a hub name, or
            the name that an endpoint knows: it stays as it is.
        rule: r_zero, absolute_zero, learnability, hard, medium, sqlm or spice.
        items: questions, deduction, abduction or induction.
        samples: of the solver; one makes every rate 0 or 1, and every rule constant.
        system_prompt: of the solver.
        temperature: of the solver.
        top_p: of the solver.
        max_tokens: length limit of its answers.
        seed: of the solver's sampling, with the step that is trained.
        backend: of a solver that is not the policy: transformers, vllm or endpoint.
        base_url: address of the endpoint.
        api_key_env: environment variable with its key.

    Raises:
        ValueError: for an unknown rule, kind of items or back end, fewer than two samples, or an endpoint without
            address or key.

    Example:
        >>> from selfrl.generation import Generation
        >>> class Solver:
        ...     def generate(self, prompts, sampling):
        ...         said = [Generation(f"The answer is {i % 4}.", "stop", 1, 1) for i in range(sampling.n)]
        ...         return [said for _ in prompts]
        >>> reward = ProposerReward("policy", rule="learnability", samples=8)
        >>> reward(["?"] * 2, ["<question>How many?</question>", "How many?"], policy=[Solver()] * 2)
        [0.75, 0.0]
    """

    abstains = True

    def __init__(
        self,
        solver: str,
        rule: Rule = "r_zero",
        items: str = "questions",
        samples: int = 10,
        system_prompt: str | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_tokens: int = 2048,
        seed: int = 0,
        backend: Backend = "transformers",
        base_url: str | None = None,
        api_key_env: str | None = None,
    ) -> None:
        if rule not in _RULES:
            raise ValueError(f"`rule` is {rule!r}: it must be one of {', '.join(get_args(Rule))}.")
        if samples < 2:
            raise ValueError(f"`samples` is {samples}: take 2 or more, one makes every solve rate 0 or 1.")
        self.solver, self.rule, self.items = solver, rule, checked_items(items)
        self.needs_policy = solver == POLICY
        refuse_unknown("back end", backend, BACKENDS, "of ProposerReward's solver")
        self.sampling = Sampling(max_tokens, temperature, top_p, samples)
        self.system_prompt, self.seed = system_prompt, seed
        self._opening: Mapping[str, Any] = {"backend": backend, "base_url": base_url, "api_key_env": api_key_env}
        self._opened: Generator | None = None
        if backend == "endpoint" and not self.needs_policy:
            self._open()  # says whether address and key are there; asks nothing

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def score(self, batch: Batch) -> Scores:
        """See the class."""
        replies, start = gathered(batch.texts)
        said = list(dict.fromkeys(replies))
        read = dict(zip(said, shared_out(said, lambda part: [askable(r, self.items) for r in part]), strict=True))
        proposals = [read[reply] for reply in replies]
        asked = {item.text: item for item in proposals if item is not None and item.invalid is None}
        step = getattr(batch.trainer_state, "global_step", 0)
        rates = dict(
            zip(asked, shared_out(list(asked.values()), lambda part: self._rates(part, batch, step)), strict=True)
        )
        shares = [0.0] * len(proposals)
        if self.rule == "r_zero":
            shares = shares_of([None if item is None else item.told for item in proposals])
        rewards = [self._reward(item, rates, share) for item, share in zip(proposals, shares, strict=True)]
        known = [rate for rate in rates.values() if rate is not None]
        count = max(len(proposals), 1)
        metrics = {
            "malformed": sum(item is None for item in proposals) / count,
            "invalid": sum(item is not None and item.invalid not in (None, UNDECIDED) for item in proposals) / count,
            "solve_rate": fmean(known) if known else 0.0,
            "near_duplicates": fmean(shares) if shares else 0.0,
            "abstained": share_abstaining(rewards),
        }
        return Scores(rewards[start : start + len(batch.texts)], metrics)

    def _reward(self, item: ProposedItem | None, rates: Mapping[str, float | None], share: float) -> float | None:
        if item is not None and item.invalid == UNDECIDED:
            return None
        if item is None or item.invalid is not None:
            return _RULES[self.rule](None, item is not None, share)
        rate = rates[item.text]
        return None if rate is None else _RULES[self.rule](rate, True, share)

    def _rates(self, items: Sequence[ProposedItem], batch: Batch, step: int) -> list[float | None]:
        """The solver's rate with each item; None if it could not be told."""
        if not items:
            return []
        sampling = replace(self.sampling, seed=seed_of(self.seed, "solver", step))
        groups = self._generator(batch).generate([self._prompt(item.text) for item in items], sampling)
        return [
            self._rate(item, [answer.text for answer in group]) if group else None
            for item, group in zip(items, groups, strict=True)
        ]

    def _rate(self, item: ProposedItem, texts: Sequence[str]) -> float | None:
        if item.item is not None:
            decided = [verdict for verdict in verdicts([item.item] * len(texts), texts) if verdict is not None]
            return decided.count("right") / len(decided) if decided else None
        votes = Counter(key for key in merge_keys([read_answer(text).key for text in texts]) if key is not None)
        return max(votes.values(), default=0) / len(texts)

    def _prompt(self, text: str) -> Prompt:
        if self.system_prompt is not None:
            return list(conversation(self.system_prompt, text))
        return [{"role": "user", "content": text}]

    def _generator(self, batch: Batch) -> Generator:
        if self.needs_policy:
            found: Generator = batch.column("policy")[0]
            return found
        return self._open()

    def _open(self) -> Generator:
        if self._opened is None:
            self._opened = load_generator(model=self.solver, **self._opening)
        return self._opened


def askable(reply: str, items: Items) -> ProposedItem | None:
    """The item of a reply, invalid if it holds role marks; None if it is malformed.

    >>> askable("<question>Add 3.<|im_end|></question>", "questions").invalid
    'role marks'
    """
    item = read_item(reply, items)
    if item is None or item.invalid is not None or not has_role_marks(item.text):
        return item
    return replace(item, invalid="role marks")


def shares_of(told: Sequence[str | None]) -> list[float]:
    """Share of the batch that stands in each proposal's cluster; what is malformed (None) has no text and stands alone.

    The authors compare empty texts there, of which BLEU makes no duplicates; whole replies would take minutes.

    >>> shares_of(["what is two plus two ?", None, "what is two plus two ?", None])
    [0.5, 0.25, 0.5, 0.25]
    """
    known = [text for text in told if text is not None]
    found = iter(cluster_shares(known))
    return [1 / len(told) if text is None else next(found) * len(known) / len(told) for text in told]
