"""How well answers are graded, on MATH-500's gold answers: python -m benchmarks.grading.

Every gold answer must be right against itself, in a box and inside sentences. Rewrites that a model would make
(fractions, decimals, spacing, delimiters, units, thousands, intervals, sets, order of sums) must be equal to it; near
misses (a neighbouring number, the other sign, a swapped fraction, a changed bracket, a lost or an added element,
another power) must not. The corpus of tests/answers/corpus asks by kinds that are easily misread: right and asked are
printed of each.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

from selfrl.answers import canonical_key, equivalent
from selfrl.answers.kinds import is_number_key, split_list
from selfrl.eval.extraction import find
from selfrl.eval.grading import grade_math
from tests.support.answer_corpus import cases

MATH500 = Path(__file__).parents[2] / "shared" / "data" / "math500.jsonl"
SENTENCES = (
    r"So \boxed{%s}.",
    "After all this, the answer is $%s$.",
    "The answer is $%s$, as we wanted to show.",
    r"Therefore, the final answer is \(%s\).",
)
FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{(\d+)\}")
INTEGER = re.compile(r"(?<![\d.^_{,])\d{1,4}(?![\d.,}])")

Change = Callable[[str], Iterator[str]]


def number_of(gold: str) -> Fraction | None:
    key = canonical_key(gold)
    return Fraction(key) if key is not None and is_number_key(key) else None


def plain(gold: str) -> bool:
    """Whether the text is a number without name or unit, so that it can be written anew."""
    return re.fullmatch(r"-?[\d.,\\!dtfrac{}/]+", gold) is not None


def list_of(gold: str, opening: str, closing: str) -> list[str] | None:
    text = gold.replace(r"\left", "").replace(r"\right", "").strip()
    if not (text.startswith(opening) and text.endswith(closing)):
        return None
    parts = split_list(text[len(opening) : len(text) - len(closing)])
    return [part.strip() for part in parts] if parts and len(parts) > 1 else None


def fractions(gold: str) -> Iterator[str]:
    for kind in ("frac", "dfrac", "tfrac"):
        yield re.sub(r"\\[dt]?frac", rf"\\{kind}", gold)
    if FRACTION.fullmatch(gold):
        yield FRACTION.sub(r"\1/\2", gold)
        yield FRACTION.sub(lambda m: rf"\frac{{{2 * int(m[1])}}}{{{2 * int(m[2])}}}", gold)


def decimals(gold: str) -> Iterator[str]:
    value = number_of(gold)
    if value is None or not plain(gold):
        return
    if value.denominator == 1:
        yield f"{value.numerator}.0"
        yield f"{value.numerator}."
    elif 10**6 % value.denominator == 0:
        yield str(float(value))
        yield f"{float(value)}0"


def spacing(gold: str) -> Iterator[str]:
    yield f" {gold} "
    yield re.sub(r"(?<=[,+=])\s?(?=[^ ])", " ", gold)
    yield re.sub(r"(?<=,)\s", r"\\,", gold)
    yield re.sub(r"([^\\ ])\s([+=-])\s", r"\1\2", gold)


def delimiters(gold: str) -> Iterator[str]:
    for form in ("$%s$", r"\(%s\)", r"\[%s\]", "**%s**", "$$%s$$", "%s.", r"\boxed{%s}", r"{%s}", r"\displaystyle %s"):
        yield form % gold
    yield re.sub(r"(?<!left)\((.*)\)", r"\\left(\1\\right)", gold)
    yield gold.replace(r"\left", "").replace(r"\right", "")


def units(gold: str) -> Iterator[str]:
    if number_of(gold) is None or not plain(gold):
        return
    for unit in (r"\text{ cm}", r"\text{ units}", r"\mathrm{cm}^2", " dollars", " square inches", r"^\circ", r"\%"):
        yield gold + unit
    yield r"\$" + gold


def thousands(gold: str) -> Iterator[str]:
    value = number_of(gold)
    if value is not None and plain(gold) and value.denominator == 1 and value >= 1000:
        yield f"{value.numerator:,}"
        yield f"{value.numerator:,}".replace(",", "{,}")
        yield f"{value.numerator:,}".replace(",", r",\!")
        yield str(value.numerator)


def names(gold: str) -> Iterator[str]:
    if number_of(gold) is not None and plain(gold):
        yield f"x = {gold}"
        yield f"x={gold}"


def sets(gold: str) -> Iterator[str]:
    parts = list_of(gold, r"\{", r"\}") or list_of(gold, "", "")
    if number_of(gold) is None and parts and not gold.startswith(("(", "[", r"\left(", r"\left[")):
        yield ", ".join(reversed(parts))
        yield r"\{" + ",".join(parts) + r"\}"
        yield " and ".join(parts) if len(parts) == 2 else ",".join(parts)


def tuples(gold: str) -> Iterator[str]:
    for opening, closing in ("()", "[]", "(]", "[)"):
        if parts := list_of(gold, opening, closing):
            yield opening + ",".join(parts) + closing
            yield rf"\left{opening} " + " , ".join(parts) + rf" \right{closing}"


def sums(gold: str) -> Iterator[str]:
    if match := re.fullmatch(r"([a-z\d^]+)\s?\+\s?([a-z\d^]+|\\sqrt\{\d+\})", gold):
        yield f"{match[2]} + {match[1]}"
    if match := re.fullmatch(r"(\d+)\\(sqrt\{\d+\}|pi)", gold):
        yield rf"{match[1]} \cdot \{match[2]}"
        yield rf"{match[1]}*\{match[2]}"


def neighbours(gold: str) -> Iterator[str]:
    for match in INTEGER.finditer(gold):
        for by in (1, -1, 10):
            yield gold[: match.start()] + str(abs(int(match[0]) + by)) + gold[match.end() :]


def signs(gold: str) -> Iterator[str]:
    value = number_of(gold)
    if value != 0 and list_of(gold, "", "") is None and not re.search(r"[a-zA-Z]{3}", gold.replace("frac", "")):
        yield gold[1:] if gold.startswith("-") else f"-({gold})" if re.search(r"[+-]", gold) else f"-{gold}"


def swapped(gold: str) -> Iterator[str]:
    for match in FRACTION.finditer(gold):
        if abs(int(match[1])) != int(match[2]) and int(match[1]) > 0:
            yield gold[: match.start()] + rf"\frac{{{match[2]}}}{{{match[1]}}}" + gold[match.end() :]


def brackets(gold: str) -> Iterator[str]:
    for opening, closing in ("()", "[]", "(]", "[)"):
        if parts := list_of(gold, opening, closing):
            yield ("[" if opening == "(" else "(") + ",".join(parts) + closing
            yield opening + ",".join(parts) + (")" if closing == "]" else "]")
            if parts[0] != parts[-1]:
                yield opening + ",".join(reversed(parts)) + closing


def elements(gold: str) -> Iterator[str]:
    if number_of(gold) is not None or gold.startswith(("(", "[", r"\left(", r"\left[")):
        return
    if parts := list_of(gold, r"\{", r"\}") or list_of(gold, "", ""):
        yield ", ".join(parts[:-1])
        yield ", ".join([*parts, "977"])


def powers(gold: str) -> Iterator[str]:
    if re.search(r"[a-z]\^2", gold):
        yield gold.replace("^2", "^3", 1)
    if r"\sqrt{" in gold:
        yield gold.replace(r"\sqrt{", r"\sqrt[3]{", 1)
        yield gold.replace(r"\sqrt{", "{", 1)
    if r"\pi" in gold:
        yield gold.replace(r"\pi", "", 1)


REWRITES: tuple[Change, ...] = (
    *(fractions, decimals, spacing, delimiters, units, thousands, names, sets, tuples, sums),
)
NEAR_MISSES: tuple[Change, ...] = (neighbours, signs, swapped, brackets, elements, powers)


def tally(golds: list[str], changes: tuple[Change, ...], wanted: bool) -> float:
    """Share of the changed answers with the wanted verdict; prints a line a kind and the first failures."""
    right, failed = defaultdict(list), []
    for change in changes:
        for gold in golds:
            for text in dict.fromkeys(change(gold)):
                if text != gold and text.strip():
                    good = (equivalent(gold, text) is True) == wanted
                    right[change.__name__].append(good)
                    if not good:
                        failed.append((change.__name__, gold, text))
    for name, verdicts in right.items():
        print(f"  {name}: {sum(verdicts)} of {len(verdicts)}")
    for failure in failed[:40]:
        print("  ", failure)
    verdicts = [good for several in right.values() for good in several]
    return sum(verdicts) / len(verdicts)


def tally_kinds() -> float:
    """Share of the corpus that is read rightly; prints a line a kind and what is not."""
    verdicts: dict[str, list[bool]] = defaultdict(list)
    failed = []
    for case in cases():
        good = case.is_right()
        verdicts[case.kind].append(good)
        failed += [] if good else [case]
    for kind, several in verdicts.items():
        print(f"  {kind}: {sum(several)} of {len(several)}")
    for case in failed:
        print("  ", case.kind, case.text)
    everything = [good for several in verdicts.values() for good in several]
    return sum(everything) / len(everything)


def main() -> None:
    started = time.perf_counter()
    golds = [json.loads(line)["answer"] for line in MATH500.read_text().splitlines()]
    kept = 0
    for gold in golds:
        answers = [find(sentence.replace("%s", gold), ["boxed", "answer_is"]) for sentence in SENTENCES]
        kept += all(grade.correct is True for grade in grade_math(answers, gold, {}))
    print("rewrites that must be equal:")
    equal = tally(golds, REWRITES, True)
    print("near misses that must not be:")
    unequal = tally(golds, NEAR_MISSES, False)
    print("kinds that are easily misread:")
    kinds = tally_kinds()
    print(f"{time.perf_counter() - started:.0f} s")
    figures = {"rewrites_equal": equal, "near_misses_unequal": unequal, "kinds_right": kinds}
    print(json.dumps({"golds_right": kept, **{name: round(figure, 4) for name, figure in figures.items()}}))


if __name__ == "__main__":
    main()
