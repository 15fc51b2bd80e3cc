import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfrl.answers import extract
from selfrl.answers.extract import CONVENTIONS, MAX_ANSWER, boxed, extract_by, find_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{4}", "4"),
        (r"first \boxed{1} then \boxed{2}.", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right\}} done", r"\left\{ x \right\}"),
        (r"\fbox{7} is it", "7"),
        (r"\boxed {8}", "8"),
        (r"\boxed 9 or so", "9"),
        (r"\boxed{3} and cut off \boxed{4", None),
        (r"\boxed{\boxed{5}}", "5"),
        (
            r"\begin{pmatrix} 1 \\ 2 \end{pmatrix} = \boxed{\begin{pmatrix} 1 \\ {2} \end{pmatrix}}",
            r"\begin{pmatrix} 1 \\ {2} \end{pmatrix}",
        ),
        ("<think>4?</think><answer> 5 </answer>", "5"),
        ("sum\n#### 1,234", "1,234"),
        ("#### 12\nbye", "12"),
        ("The answer is 3.14.", "3.14"),
        ("The final answer is: $x^2$. I hope it is correct.", "$x^2$"),
        ("Answer: (B)\nbecause", "(B)"),
        (r"The answer is 3, so \boxed{4}", "4"),
        ("The answer is 3\n#### 4", "4"),
        (r"\boxed{1}, or rather \boxed 9", "9"),
        ("#### Step 3: add\nThe answer is 5.", "5"),
        ("**Final Answer:** 42", "42"),
        ("**The answer is 42**", "42"),
        (r"The answer is $11,\! 111$.", r"$11,\! 111$"),
        ("The answer is $4$, as we wanted.", "$4$"),
        (r"the answer is \(x^2 + 1\) because of that", r"\(x^2 + 1\)"),
        (r"The answer is: \[ \frac12 \] Done", r"\[ \frac12 \]"),
        ("The answer is $x = 1$ or $x = 2$, both real", "$x = 1$ or $x = 2$"),
        ("The answer is $1$, $2$ and $3$.", "$1$, $2$ and $3$"),
        ("The answer is $5$ million people.", "$5$ million people"),
        ("The answer is $x$ = 5.", "$x$ = 5"),
        ("The answer is $9 and I paid $5.", "$9"),
        ("The answer is $9, not $5.", "$9"),
        ("The answer is $9$ dollars.", "$9$"),
        ("The answer is $5$ (five).", "$5$"),
        ("The answer is $3$ hours and $20$ minutes.", "$3$ hours and $20$ minutes"),
        ("The answer is $5$ times $10^3$. Done.", "$5$ times $10^3$"),
        ("The answer is $5$ to $7$.", "$5$ to $7$"),
        ("The answer is $3.5$ m.  It is $7$ feet.", "$3.5$"),
        (r"The answer is $\$18.90$, to the cent.", r"$\$18.90$"),
        ("there are 12 apples", None),
        (r"\boxed{}", None),
        (r"\boxed{ }", None),
        ("<answer>5", None),
        ("", None),
    ],
)
def test_conventions(text: str, answer: str | None) -> None:
    assert extract(text) == answer


def test_the_last_number_only_when_asked() -> None:
    text = "I bought 3 and then 1,204.5 of them"
    assert extract(text) is None
    assert extract(text, last_number=True) == "1,204.5"
    assert extract("none", last_number=True) is None


def test_one_convention_alone() -> None:
    text = "<answer>2</answer> The answer is 3.\n#### 4\n" + r"\boxed{1} and 5"
    found = {convention: extract_by(text, convention) for convention in CONVENTIONS}
    assert found == {"boxed": "1", "answer_tag": "2", "hashes": "4", "answer_is": "3", "last_number": "5"}
    assert [extract_by("nothing", convention) for convention in CONVENTIONS] == [None] * 5
    assert extract_by(r"\boxed{" + "1" * (MAX_ANSWER + 1) + "}", "boxed") is None


def test_overlong_answers_are_none_but_seen() -> None:
    text = r"\boxed{" + "1" * (MAX_ANSWER + 1) + "}"
    assert extract(text) is None
    assert find_answer(text) == "1" * (MAX_ANSWER + 1)
    assert extract(r"\boxed{" + "1" * MAX_ANSWER + "}") == "1" * MAX_ANSWER


@pytest.mark.timeout(3)
@pytest.mark.parametrize(
    "text",
    [
        r"\boxed{" * 100_000,
        "{" * 100_000 + r"\boxed{1}" + "}" * 100_000,
        r"\boxed{" * 50_000 + "}" * 50_000,
        "answer " * 150_000,
        "answer is " * 100_000,
        "answer is $" * 100_000,
        "answer is $1$, " + "$1$, " * 200_000,
        "answer is " + r"\(" * 400_000,
        "answer" + " " * 1_000_000,
        "#" * 1_000_000,
        "<answer>" * 120_000,
        "1," * 500_000,
        "\\" * 1_000_000,
        "\\boxed " * 140_000,
        "5" * 1_000_000,
    ],
    ids=lambda t: t[:12],
)
def test_extraction_is_linear_on_hostile_text(text: str) -> None:
    extract(text, last_number=True)


@given(st.text(alphabet=st.sampled_from(r"\{}boxedfansw#<>/ri :1,.$" + "\n\0é"), max_size=200))
def test_any_text_gives_a_text_or_none(text: str) -> None:
    answer = extract(text, last_number=True)
    assert answer is None or (0 < len(answer) <= MAX_ANSWER and answer.strip() == answer)


@given(st.text(max_size=50).filter(lambda t: "\\" not in t and "{" not in t and "}" not in t))
def test_what_is_boxed_comes_back(content: str) -> None:
    assert boxed(rf"before \boxed{{{content}}} after") == content
