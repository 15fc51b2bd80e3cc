"""The loop of prompt optimisation: optimise, execute, evaluate."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

from selfrl.conversation import conversation
from selfrl.generation import Message, Prompt, seed_of
from selfrl.preferences.verdicts import balanced_votes
from selfrl.prompting.comparing import Shown, in_common, outcome_of
from selfrl.prompting.finals import best_of, contenders
from selfrl.prompting.prompt_task import Example, PromptTask, load_task
from selfrl.prompting.requests import Templates, read_proposal
from selfrl.prompting.resuming import begin, no_reply
from selfrl.prompting.roles import Role, RoleName, Usage
from selfrl.prompting.run_record import Answer, Ballot, Comparison, HeldOut, Outcome, Round, Run, summed, write_run

VOTES_PER_ORDER = 2  # of the 4 that a round takes


@dataclass(frozen=True)
class Settings:
    """How a prompt is optimised.

    Args:
        rounds: the first of which runs the initial prompt.
        samples: questions that the rounds work with, drawn once.
        finalists: how many of the prompts that stand at the end meet each other once more; 1 takes the last winner.
        heldout: at most so many of the other questions check the best prompt against the initial one; 0 is no check.
        seed: of every draw.
    """

    rounds: int = 10
    samples: int = 3
    finalists: int = 4
    heldout: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("samples", 1), ("finalists", 1), ("heldout", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be {least} or more.")


class PromptOptimizer:
    """Self-supervised prompt optimisation (SPO, 2502.06855): the better prompt is the one whose outputs are preferred.

    Round 1 runs the initial prompt on the sample questions. In each later round the optimiser sees the best prompt and
    its outputs and writes a new one, the executor answers the same questions with it, and the evaluator compares the
    two sets of outputs 4 times, 2 in either order; the new prompt is the best if it has more than half of the
    votes. That is 1 + samples + 4 calls. Nothing else can replace the best: a reply without a prompt, or with one that
    was tried before, ends its round; a failed answer takes its question out of the comparison; ties and verdicts that
    cannot be read are counted, for neither.

    A single lucky verdict must not decide: when the rounds are over, prompts that won or tied meet each other
    (`finalists` of them at most, 4 calls a pair), and the best has the highest Bradley–Terry score over all votes. It
    is then checked against the initial prompt on questions that no round has seen.

    Everything is kept in `out/results.json` after every step; a run that was killed goes on with the step it was at.

    Args:
        task: a task or its file.
        out: folder of the run.
        optimizer: writes prompts.
        executor: answers questions.
        evaluator: judges outputs; it sees no prompts.
        settings: see [`Settings`].
        templates: of the requests.
        on_change: told of the run whenever something has been done.

    Raises:
        ValueError: for a bad task, or if `out` holds a run that began differently.

    Example:
        >>> import tempfile
        >>> from selfrl.generation import Generation
        >>> class Scripted:
        ...     "Writes one better prompt, answers better with it, and prefers the better answer."
        ...     def generate(self, prompts, sampling):
        ...         return [[Generation(self.reply(p[-1]["content"], p), "stop", 9, 2)] for p in prompts]
        ...     def reply(self, text, messages):
        ...         if "You improve a prompt" in text:
        ...             return "<prompt>Think, then answer.</prompt>"
        ...         if "Two models" in text:
        ...             return "A" if "good" in text.partition("</output_a>")[0] else "B"
        ...         return "good" if "Think" in messages[0]["content"] else "poor"
        >>> role = Role(Scripted())
        >>> task = PromptTask("Answer.", None, None, (Example("2+2?"),))
        >>> spo = PromptOptimizer(task, tempfile.mkdtemp(), optimizer=role, executor=role, evaluator=role)
        >>> spo.run().best_prompt
        'Think, then answer.'
    """

    def __init__(
        self,
        task: PromptTask | str | Path,
        out: str | Path,
        *,
        optimizer: Role,
        executor: Role,
        evaluator: Role,
        settings: Settings | None = None,
        templates: Templates | None = None,
        on_change: Callable[[Run], None] = lambda run: None,
    ) -> None:
        self.task = task if isinstance(task, PromptTask) else load_task(task)
        self.out = Path(out)
        self.roles: dict[RoleName, Role] = {"optimizer": optimizer, "executor": executor, "evaluator": evaluator}
        self.settings, self.templates = settings or Settings(), templates or Templates()
        self.on_change = on_change
        order = random.Random(self.settings.seed).sample(range(len(self.task.qa)), len(self.task.qa))
        self._heldout = sorted(order[self.settings.samples :][: self.settings.heldout])
        facts = {name: role.facts() for name, role in self.roles.items()}
        begun = {
            "task": asdict(self.task),
            "settings": asdict(self.settings),
            "roles": facts,
            "templates": asdict(self.templates),
        }
        self.state = begin(self.out, begun, sorted(order[: self.settings.samples]))
        self.examples = [self.task.qa[i] for i in self.state.samples]

    def run(self) -> Run:
        """Do what is still to do, and return the whole run."""
        state = self.state
        for number in range(1, self.settings.rounds + 1):
            if number > len(state.rounds):
                state.rounds.append(Round(number))
            current = state.rounds[number - 1]
            while current.outcome is None:
                started = time.monotonic()
                if number == 1:
                    self._start(current)
                else:
                    self._step(current)
                current.seconds = round(current.seconds + time.monotonic() - started, 3)
                self._keep()
        if state.best is None:
            state.finals = self._finals()
            state.best = best_of(state)
            self._keep()
        if state.heldout is None and self._heldout and state.best != 1:
            state.heldout = self._check()
        state.done = True
        self._keep()
        return state

    def _keep(self) -> None:
        write_run(self.out, self.state)
        self.on_change(self.state)

    def _start(self, first: Round) -> None:
        first.prompt = self.task.prompt
        first.answers, usage = self._execute(first.prompt, self.examples, "start")
        first.usage = {"executor": usage}
        if not any(first.answers):
            raise ValueError(
                "The executor answered no question with the initial prompt: is the endpoint down, or is the prompt too "
                "long? Nothing was kept."
            )
        first.outcome = "start"

    def _step(self, current: Round) -> None:
        """The next step of a round: optimise, execute or evaluate."""
        best = self.state.champion
        if current.prompt is None:
            current.outcome = self._optimize(current, best)
        elif current.answers is None:
            current.answers, usage = self._execute(current.prompt, self.examples, current.number)
            current.usage["executor"] = usage
            if not in_common(best.answers, current.answers):
                current.outcome = "no answers"
        else:
            (current.comparison,), current.usage["evaluator"] = self._compare([(best, current)], current.number)
            current.outcome = outcome_of(current.comparison)

    def _optimize(self, current: Round, best: Round) -> Outcome | None:
        assert best.prompt is not None
        assert best.answers is not None
        there = [(e, a) for e, a in zip(self.examples, best.answers, strict=True) if a is not None]
        request = self.templates.improvement(
            best.prompt,
            self.task.requirements,
            self.task.count,
            [example for example, _ in there],
            [answer.text for _, answer in there],
        )
        (reply,), usage = self.roles["optimizer"].ask([request], self._seed("optimizer", current.number))
        if reply is None:
            raise no_reply("optimizer", current.number)
        current.usage["optimizer"] = usage
        prompt, current.modification, current.analysis = read_proposal(reply.text)
        if prompt is None:
            return "no prompt"
        current.prompt = prompt
        tried = {" ".join(r.prompt.split()) for r in self.state.rounds if r.prompt is not None and r is not current}
        return "same prompt" if " ".join(prompt.split()) in tried else None

    def _execute(self, prompt: str, examples: Sequence[Example], what: object) -> tuple[list[Answer | None], Usage]:
        asked: list[Prompt] = [conversation(prompt, example.question) for example in examples]
        replies, usage = self.roles["executor"].ask(asked, self._seed("executor", what))
        return [None if r is None else Answer(r.text, r.finish_reason == "length") for r in replies], usage

    def _compare(self, pairs: Sequence[tuple[Round, Round]], what: object) -> tuple[list[Comparison], Usage]:
        """Comparisons of pairs of rounds, on the questions that both answered."""
        shown = [Shown.of(self.examples, one.answers, two.answers) for one, two in pairs]
        found, usage = self._judge(shown, what, VOTES_PER_ORDER)
        return [Comparison(a.number, b.number, ballots) for (a, b), ballots in zip(pairs, found, strict=True)], usage

    def _judge(self, pairs: Sequence[Shown], what: object, repeats: int) -> tuple[list[list[Ballot]], Usage]:
        """Ballots on each pair of outputs, `repeats` in either order."""
        usage = Usage()

        def ask(prompts: list[Prompt]) -> list[str | None]:
            nonlocal usage
            replies, usage = self.roles["evaluator"].ask(prompts, self._seed("evaluator", what))
            if not any(replies):
                raise no_reply("evaluator", what)
            return [None if reply is None else reply.text for reply in replies]

        def request(a: tuple[Shown, Sequence[str]], b: tuple[Shown, Sequence[str]]) -> list[Message]:
            return self.templates.judgement(self.task.requirements, a[0].examples, a[1], b[1])

        votes = balanced_votes([((s, s.one), (s, s.two)) for s in pairs], request, ask, repeats)
        return [[Ballot(v, i % 2 == 1, reply) for i, (v, reply) in enumerate(found)] for found in votes], usage

    def _finals(self) -> list[Comparison]:
        state = self.state
        state.finalists = contenders(state, self.settings.finalists)
        finalists = [state.rounds[number - 1] for number in state.finalists]
        pairs = [(a, b) for a, b in combinations(finalists, 2) if in_common(a.answers, b.answers)]
        if not pairs:
            return []
        found, usage = self._compare(pairs, "finals")
        state.finals_usage = summed([state.finals_usage, {"evaluator": usage}])
        return found

    def _check(self) -> HeldOut:
        examples = [self.task.qa[i] for i in self._heldout]
        one, before = self._execute(self.task.prompt, examples, "held-out initial")
        two, after = self._execute(self.state.best_prompt, examples, "held-out best")
        pairs = {i: Shown([examples[i]], [a], [b]) for i, (a, b) in in_common(one, two).items()}
        found, judging = self._judge(list(pairs.values()), "held-out", 1) if pairs else ([], Usage())
        ballots = dict(zip(pairs, found, strict=True))
        usage: dict[RoleName, Usage] = {"executor": before + after, "evaluator": judging}
        return HeldOut(self._heldout, one, two, [ballots.get(i, []) for i in range(len(examples))], usage)

    def _seed(self, *what: object) -> int:
        return seed_of(self.settings.seed, *what)
