import ast
import json
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfrl.answers import answer_key, canonical_key, equivalent, extract
from selfrl.answers.numbers import exact_number

ROOT = Path(__file__).parents[2]
MATH500 = ROOT.parent / "shared" / "data" / "math500.jsonl"

SAME = [
    ("1/2", r"\frac{1}{2}"),
    ("1/2", r"\frac12"),
    ("1/2", r"\dfrac{1}{2}"),
    ("1/2", r"\tfrac12"),
    ("1/2", "0.5"),
    ("1/2", ".5"),
    ("1/2", "0.50"),
    ("1/2", "2/4"),
    ("1/2", "$0.5$"),
    ("1/2", "½"),
    ("-3/4", r"-\frac{3}{4}"),
    ("-3/4", r"\frac{-3}{4}"),
    ("-3/4", "−0.75"),
    ("3/2", r"1\frac{1}{2}"),
    ("3/2", "1 1/2"),
    ("1234", "1,234"),
    ("1234", r"1{,}234"),
    ("1234", r"1\,234"),
    ("1234", r"1,\!234"),
    ("1234567.5", "1,234,567.50"),
    ("50", r"50\%"),
    ("50", "50%"),
    ("18.9", r"\$18.90"),
    ("5", "5.0"),
    ("5", "5."),
    ("5", "+5"),
    ("5", "x = 5"),
    ("5", "x=5"),
    ("5", r"5\text{ cm}"),
    ("5", r"5\ \mathrm{cm}^2"),
    ("5", "5 cm"),
    ("5", "5 apples"),
    ("5", "5 square units"),
    ("5", r"\text{5}"),
    ("5", r"\mathbf{5}"),
    ("5", r"\left(5\right)"),
    ("120", r"120^\circ"),
    ("120", r"120^{\circ}"),
    ("120", "120°"),
    ("120", "120 degrees"),
    ("1500", r"1.5\times10^3"),
    ("1500", r"1.5 \cdot 10^{3}"),
    ("1500", "1.5e3"),
    ("1024", "2^{10}"),
    ("1/1000", "10^{-3}"),
    ("B", "(B)"),
    ("B", r"\text{(B)}"),
    ("B", "B."),
    ("B", "B)"),
    ("Monday", "monday"),
    ("yes", r"\text{Yes}"),
    ("NO", "no"),
    ("a right Triangle", "A right triangle"),
    ("Twenty-one", "twenty-one"),
    ("p - q", "p-q"),
    (r"x^2", "x^{2}"),
    (r"x^2", "x²"),
    (r"2\sqrt3", r"2\sqrt{3}"),
    (r"2\pi", "2 π"),
    (r"2 \pi r", r"2\pi  r"),
    ("2x + 3", "y = 2x+3"),
    ("(1,2)", r"\left( 1,\; 2 \right)"),
    ("(1/2,3)", r"(0.5, 3.0)"),
    (r"\{1,2\}", r"\{2, 1\}"),
    (r"\{1,2\}", "1, 2"),
    (r"\{1,2\}", "2 and 1"),
    (r"\{1,2\}", r"\{1,2,2\}"),
    (r"(-\infty,3]", r"\left(-\infty, 3\right]"),
    (r"(-\infty,3]", r"x \in (-∞, 3]"),
    (r"(0,9)\cup(9,36)", r"(9, 36) \cup (0, 9)"),
    ("3+4i", "3 + 4i"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("7/2", "3½"),
    ("1/3", r"0.\overline{3}"),
    ("1/6", r"0.1\overline{6}"),
    ("1000/3", "1,000/3"),
    ("1000/3", r"\frac{1,000}{3}"),
    ("1000000", "1 000 000"),
    ("3e8", "3x10^8"),
    ("5", "€5"),
    ("5", r"\boxed{5}"),
    ("5", "**5**"),
    ("5", "{5}"),
    ("5", r"\text{5 cm}"),
    ("5", r"\approx 5"),
    ("30", r"\angle ABC = 30^\circ"),
    ("-5", "‑5"),
    (r"12\pi", r"12 \pi \text{ cm}^2"),
    (r"\sqrt{3}/2", "sqrt(3)/2"),
    (r"\sqrt{3}", "√(3)"),
    (r"2\pi", "2pi"),
    ("x^2", "x**2"),
    ("x_1", "x₁"),
    (r"x \le 3", "x <= 3"),
    ("1, 2", r"x = 1 \quad\text{or}\quad x = 2"),
    (r"\{1,2\}", r"x \in \{1,2\}"),
    ("(1,2)", r"\langle 1, 2 \rangle"),
    ("(1,2)", "(x, y) = (1, 2)"),
    ("3, 4", "3 cm and 4 cm"),
    ("B", "Option B"),
    ("yes", '"Yes."'),
    (r"v_{max}", r"v_\text{max}"),
]

DIFFERENT = [
    ("1/2", "0.51"),
    ("1/2", "-1/2"),
    ("1/2", "2"),
    ("1/3", "0.333"),
    ("5", "-5"),
    ("5", "50"),
    ("5", "5 million"),
    ("5", "5x"),
    ("1234", "1.234"),
    ("12", "1,2"),
    ("0.1", "0.10000000001"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("(1,2]", "[1,2)"),
    ("(1,2)", r"\{1,2\}"),
    ("(1,2)", "(1,2,3)"),
    (r"\{1,2\}", r"\{1,3\}"),
    ("x", "X"),
    ("A", "B"),
    ("A", "a"),
    ("yes", "no"),
    ("monday", "sunday"),
    ("x^2", "x^3"),
    ("x^2", "x_2"),
    ("x^2", "2x"),
    (r"\sqrt{2}", r"\sqrt{3}"),
    (r"\sqrt{2}", "2"),
    (r"\pi", "3.14"),
    (r"2\pi", r"\pi"),
    ("x+1", "x-1"),
    (r"\pm 3", "3"),
    ("3+4i", "3-4i"),
    (r"\frac{1}{2}", r"\frac{2}{1}"),
    (r"52_8", "52"),
    (r"52_8", "52_9"),
    (r"1\frac{1}{2}", r"11/2"),
    ("10^3", "10^{-3}"),
    (r"(-\infty,3]", r"(-\infty,3)"),
    (r"(0,1)\cup(2,3)", "(0,1)"),
    ("x < 3", "x > 3"),
    ("2x=3", "2x=4"),
    ("1 2", "12"),
    ("2 n", "2"),
    ("2t", "2"),
    (r"\pi r^2 h", r"\pi r^2"),
    ("X+1", "x+1"),
    ("AB", "ab"),
    ("a:b", "b"),
    ("a:b", "c:b"),
    ("7 am", "7 pm"),
    ("5 million", "5 billion"),
    ("x=2, y=3", "x=3, y=2"),
    ("x'", "x"),
    ("f'(x)", "f(x)"),
    ("11_2", "3"),
    ("52_8", r"\sqrt{52^2}"),
    ("52_8+x", "52+x"),
    ("listen!", "silent!"),
    (r"(5,\sqrt{2})", r"(7,\sqrt{2})"),
    (r"(1,\sqrt{8})", r"(\sqrt{8},1)"),
    ("(x,2)", r"\{x,2\}"),
    ("(x,2]", "[x,2)"),
    ("x>3", r"x\ge 3"),
    (r"\sqrt{2}", "1.41421356"),
    (r"\pi", "22/7"),
    (r"\infty", r"-\infty"),
    ("-x^2", "(-x)^2"),
    (r"\frac{1}{2}x", r"\frac{1}{2x}"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\1\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    (r"\sqrt{x^2}", "x"),
    ("1/2", r"\text{half}"),
    ("no solution", "0"),
]


@pytest.mark.parametrize(("a", "b"), SAME)
def test_one_key_for_spellings_of_one_answer(a: str, b: str) -> None:
    assert canonical_key(a) is not None
    assert canonical_key(a) == canonical_key(b)


@pytest.mark.parametrize(("a", "b"), DIFFERENT)
def test_different_answers_are_different(a: str, b: str) -> None:
    assert canonical_key(a) != canonical_key(b)
    assert equivalent(a, b) is False
    assert equivalent(b, a) is False


@pytest.mark.parametrize("answer", [a for pair in SAME + DIFFERENT for a in pair])
def test_a_key_is_its_own_key(answer: str) -> None:
    key = canonical_key(answer)
    assert key is not None
    assert canonical_key(key) == key


HOSTILE = [
    "9^{9^{9}}",
    "9^{9^9}",
    "9^9^9",
    "9**9**9",
    r"9^{\frac{9^9}{1}}",
    "(10^9)!",
    "100000!",
    "3!!",
    "(3!)!",
    "2^{99999}",
    "10^{-10000}",
    "2^{100{,}000{,}000}",
    r"2^{9\cdot 9\cdot 9\cdot 9\cdot 9\cdot 9\cdot 9}",
    r"9^\text{9^9}",
    "((9^{300})^{300})^{300}",
    "((99!)^{399})^{399}",
    r"\binom{999999999}{499999999}",
    r"\Gamma(10^9)",
    "1" * 101,
    "1" * 1_000_000,
    "{" * 100_000,
    r"\frac{" * 200 + "1" + "}{2}" * 200,
    "(" * 13 + "1" + ")" * 13,
    "5\0",
    "5\u202e",
    "\x1b[31m5",
    "",
    "   ",
    "$$",
]


@pytest.mark.timeout(3)
@pytest.mark.parametrize("answer", HOSTILE, ids=lambda a: repr(a[:12]))
def test_unsafe_answers_abstain(answer: str) -> None:
    assert canonical_key(answer) is None


def test_code_is_only_text(tmp_path: Path) -> None:
    trap = tmp_path / "executed"
    key = canonical_key(f"__import__('os').system('touch {trap}')")
    assert key is None or "mport" in key
    assert not trap.exists()


@pytest.mark.parametrize(
    "answer",
    [
        "2^{2023}",
        "7^{1000}-1",
        "(n+1)!",
        r"\frac{(2n)!}{n!}",
        "100!",
        "2^{2^n}",
        r"e^{-(x-1)^2/2}",
        r"\binom{n}{k}p^{k}",
    ],
)
def test_large_but_harmless_answers_have_keys(answer: str) -> None:
    assert canonical_key(answer) is not None


def test_legitimate_powers_survive() -> None:
    assert canonical_key("e^{-x^2}") == "e^{-x^{2}}"
    assert canonical_key("x^5 - x^4 + 1") == "x^{5}-x^{4}+1"
    assert canonical_key("5!") == "5!"


@given(st.fractions(max_denominator=10**6))
def test_a_fraction_keeps_its_value_in_every_spelling(value: Fraction) -> None:
    n, d = value.numerator, value.denominator
    for text in (f"{n}/{d}", rf"\frac{{{n}}}{{{d}}}", rf"$\dfrac{{{n}}}{{{d}}}$", rf"x = {n}/{d}"):
        assert canonical_key(text) == str(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**9), max_value=10**9))
def test_decimals_are_exact(value: object) -> None:
    assert canonical_key(f"{value:f}") == str(Fraction(f"{value:f}"))


@given(st.integers(-(10**15), 10**15))
def test_thousands_separators(value: int) -> None:
    assert canonical_key(f"{value:,}") == str(value)


HOSTILE_PIECES = st.sampled_from(
    [
        *(
            r"\boxed{",
            r"\fbox{",
            "}",
            "{",
            r"\frac",
            r"\sqrt",
            r"\text{",
            r"\left(",
            r"\right)",
            "^",
            "_",
            "!",
            "!!",
            "9",
            "99999",
        ),
        *(
            "(",
            ")",
            "[",
            "]",
            r"\{",
            r"\}",
            ",",
            ";",
            "=",
            "x",
            "and",
            " ",
            "\n",
            "\0",
            "\u202e",
            "½",
            "²",
            "٣",
            "𝟗",
            "\ud800",
        ),
        *(
            "#### ",
            "the answer is ",
            "<answer>",
            "</answer>",
            r"\cup",
            r"\infty",
            "%",
            "$",
            "'",
            '"',
            "**",
            "`",
            "\\",
            "\\\\",
        ),
        *(
            r"\overline{",
            r"\binom{",
            "10^{",
            "e99",
            "1,000",
            "0.",
            "...",
            "-",
            "__import__('os').system('x')",
            r"\pm",
            r"\in",
        ),
    ]
)


@settings(max_examples=400)
@given(st.lists(HOSTILE_PIECES, max_size=30).map("".join))
def test_hostile_grammar_raises_nothing(text: str) -> None:
    for result in (
        extract(text, last_number=True),
        canonical_key(text),
        answer_key(text, last_number=True),
        answer_key(rf"\boxed{{{text}}}"),
        answer_key(text, mode="raw"),
    ):
        assert result is None or (isinstance(result, str) and result)


@given(st.text())
def test_unicode_raises_nothing(text: str) -> None:
    for result in (extract(text, last_number=True), canonical_key(text), answer_key(text, last_number=True)):
        assert result is None or (isinstance(result, str) and result)


@given(st.text(alphabet=st.sampled_from(r"\{}()[]frac12sqrt^_,.$ %+-=x!/πtext∪and" + "\0"), max_size=60))
def test_any_text_gives_a_stable_key(text: str) -> None:
    key = canonical_key(text)
    assert key is None or (isinstance(key, str) and key)
    assert key == canonical_key(text)


@pytest.mark.parametrize("text", ["x", "", "1e999999999", "1/0", "٣", "0x10", "1_000", "--", "9" * 200])
def test_no_number_where_there_is_none(text: str) -> None:
    assert exact_number(text) is None


@pytest.mark.skipif(not MATH500.exists(), reason="shared data is not here")
def test_every_gold_answer_of_math500_has_a_key() -> None:
    golds = [json.loads(line)["answer"] for line in MATH500.read_text().splitlines()]
    assert len(golds) == 500
    keys = [canonical_key(g) for g in golds]
    assert [g for g, key in zip(golds, keys, strict=True) if key is None or canonical_key(key) != key] == []
    assert [g for g in golds if extract(rf"so \boxed{{{g}}}, done") != g.strip()] == []


BANNED = {"parse_expr", "sympify", "parse_latex"}


def evaluations(source: str) -> list[str]:
    """Names in `source` that could run model text as code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            found += [name] if name in BANNED else []
        if isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.name in BANNED]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("eval", "exec", "compile")
        ):
            found.append(node.func.id)
    return found


def test_nothing_in_the_package_evaluates_text() -> None:
    files = [p for folder in ("selfrl", "rewards", "eval") for p in (ROOT / folder).rglob("*.py")]
    assert len(files) > 20
    assert {str(p): evaluations(p.read_text()) for p in files if evaluations(p.read_text())} == {}
    for line in (
        "sympy.sympify(x)",
        "from sympy import sympify as s",
        "eval(x)",
        "exec(x)",
        "p.parse_expr(x)",
    ):
        assert evaluations(line), line
    assert evaluations("model.eval()") == []
