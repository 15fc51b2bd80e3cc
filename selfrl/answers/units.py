"""Units and currencies around an answer. They are dropped, as the graders of this field do; nothing is converted."""

from __future__ import annotations

import re

from selfrl.answers.worded import NUMBER_WORDS

_DECIMAL = r"(?:\d[\d,]*\.?\d*|\.\d+)"
_EXPONENT = r"(?:\{\s*[+-]?\d+\s*\}|[+-]?\d+)"
_SCIENTIFIC = rf"[+-]?(?:{_DECIMAL}\s*(?:\\times|\\cdot|\*)\s*)?10\s*\^\s*{_EXPONENT}|[+-]?{_DECIMAL}[eE][+-]?\d+"
_NUMBER = rf"(?:{_SCIENTIFIC}|[+-]?(?:\d*\s*\\frac\{{\d+\}}\{{\d+\}}|\d+ \d+/\d+|{_DECIMAL}/{_DECIMAL}|{_DECIMAL}))"
_WRAPPERS = "text|mathrm|textrm|mbox|hbox|rm|textbf|operatorname|mathsf|textup|unit"
_INSIDE = r"((?:[^{}]|\{[^{}]*\})*)"
_WRAPPED = rf"\\(?:{_WRAPPERS})\s*\{{{_INSIDE}\}}"
_POWER = r"(?:\s?\^\s?\{?-?\d\}?)?"

_PREFIXED = "m g s A K mol cd Hz N Pa J W C V F S Wb T H lm lx Bq Gy Sv L l eV cal bar B Wh t pc".split()
_PREFIXES = ("", *"k m c d M G T n p f u".split(), r"\mu ", r"\mu")
_PLAIN = (
    "M mM uM hPa in inch inches ft foot feet yd mi lb lbs oz min mins h hr hrs sec secs deg rad sr rev rpm mph kph mpg "
    "atm mmHg torr "
    "psi erg ergs dyn dyne dynes G AU ly yr yrs amu u gal qt pt ppm dB ha acre acres bit bits byte bytes sq square cu "
    "cubic ohm ohms cc kcal unit units day days hour hours minute minutes second seconds meter meters metre metres "
    "kilometer kilometers centimeter centimeters centimetre centimetres yard yards mile miles degree degrees radian "
    "radians dollar dollars cent cents joule joules watt watts volt volts newton newtons kelvin pascal pascals gram "
    "grams kilogram kilograms liter liters litre litres mole moles hertz pound pounds ounce ounces ton tons year years"
).split()
_UNITS = frozenset([*_PLAIN, *(prefix + unit for prefix in _PREFIXES for unit in _PREFIXED)]) - {"pm", "am"}
_FACTOR = re.compile(
    r"[(\s]*(\\mu\s?[a-zA-Z]{1,3}|[kMGm]?\s*\\Omega|\\(?:AA|ell)|[a-zA-ZÅ]+\.?(?![a-zA-Z]))"
    r"\s?(?:\^\s?(?:\{\s*[+-]?\d\s*\}|[+-]?\d))?\s*(?:\\cdot|\\times|\*|/|\\,|~|\.|\bper\b|[()\s]|-)*"
)
# single letters that are units; i, e, x, n and the like are values
_UPRIGHT = frozenset("m g s h l L N J W K V A C F T H M G B".split())
_BARE = frozenset("J N W V K".split())  # of them, those that nobody takes for a variable after a blank

_WORDS_AFTER = re.compile(rf"({_NUMBER})\s+([a-zA-Z]+(?:-[a-zA-Z]+)?\.?(?:[ /][a-zA-Z-]+\.?){{0,5}}){_POWER}\.?")
_UNIT_FRACTION = re.compile(r"\\frac\s*\{(.*)\}\s*\{(.*)\}")
_VALUE_WORDS = re.compile(r"(.*\\pi|.*[\d})!|])\s+([a-z]{4,}(?:\s[a-z]{2,}){0,3}|.*)", re.DOTALL)
_BESIDE_PI = re.compile(r"(?:rad|cm|mm|km|ft|deg|Hz|[a-z]{4,})\b")  # \pi hr^2 is a volume
_OPERATOR = re.compile(r"[-+*/=^_(,<>]\s*$|\\(?:cdot|times|pm)\s*$")
_CLOCK_SIGN = re.compile(r"\s*[ap]\.?\s?m\.?\s*", re.IGNORECASE)
_TEXT_AFTER = re.compile(rf"({_NUMBER})\s*{_WRAPPED}{_POWER}\.?")
_DEGREES = re.compile(
    rf"({_NUMBER})\s*\^\s?\{{?\\circ\s?\}}?\s*(?:[CFK]|\\(?:text|mathrm)\s*\{{\s*[CFK]?\s*\}})?"
    rf"|({_NUMBER})\s*\\(?:text|mathrm)\s*\{{\s*\^\\circ\s*[CF]?\s*\}}"
)
_GLUED = re.compile(rf"({_NUMBER})%")
_CURRENCY = re.compile(
    r"([+-]?)\s*(?:[€£¥₹]|\\(?:pounds|euro)|(?:USD|EUR|GBP|CAD|AUD)(?![a-zA-Z])|Rs\.?"
    r"|\\(?:text|mathrm|textrm)\s*\{\s*(?:USD?|EUR|GBP|Rs\.?|INR)\s*\})\s*(?=[\d.])"
    r"|\s*(?:[€£¥₹¢]|\\(?:pounds|euro))$"
)

# Bare words of four letters or more after a number count things; shorter ones could be a product of variables.
_SHORT_WORDS = frozenset(
    "cup men boys pen ton per the of usd eur gbp yen egg pie way box bag car bus dog cat cow hen pig toy boy man kid "
    "day row jar can hat bed key ant bee fan pot set job leg red big old new all in a an hrs".split()
)
_NOT_UNITS = frozenset(
    "pi sin cos tan log ln exp sqrt and or to mod modulo if is than am pm a.m p.m remainder base percentage where when "
    "for times plus minus divided multiplied over under below above negative squared cubed factorial power root point "
    "less choose not between least most".split()
)


def without_unit(text: str) -> str:
    r"""Remove the unit or currency of an answer; words that change its value ("million", "thirds") stay.

    After a number anything in `\text{}` is a unit but for a single letter that is the sign of none, and so are bare
    words of four letters or more, the usual short ones and signs of units (`m/s`, `kWh`); after another expression only
    signs and names of units in `\text{}` or `\mathrm{}` are.

    Example:
        >>> [without_unit(a) for a in (r"15\mbox{ cm}^2", "5 red apples", r"12\pi \text{ cm}^2", "60 km/h", "£5")]
        ['15', '5', '12\\pi', '60', '5']
        >>> [without_unit(a) for a in (r"9.8\,\mathrm{m}\,\mathrm{s}^{-1}", r"2\sqrt{3}\text{ J}", r"4\times10^3 J")]
        ['9.8', '2\\sqrt{3}', '4\\times10^3']
        >>> [without_unit(a) for a in ("5 million", "2 n", r"3\mathrm{i}", r"x \text{ or } y")]
        ['5 million', '2 n', '3\\mathrm{i}', 'x \\text{ or } y']
    """
    text = _CURRENCY.sub(lambda m: m[1] or "", text).strip()
    if match := _DEGREES.fullmatch(text):
        return match[1] or match[2]
    if match := _GLUED.fullmatch(text):
        return match[1]
    if (match := _TEXT_AFTER.fullmatch(text)) and _counts(match[2]):
        return match[1]
    for start in _upright_starts(text):
        value, unit = _trimmed(text[:start]), text[start:]
        if value.endswith("/") and re.fullmatch(_NUMBER, value[:-1]):  # 5/hour
            value = value[:-1]
        if _is_upright_unit(unit) and not _OPERATOR.search(value) and not re.search(_WRAPPED, value):
            return value
    if match := _WORDS_AFTER.fullmatch(text):
        words = re.split(r"[ /]", match[2].casefold().replace(".", ""))
        if words[-1] in ("squared", "cubed"):  # 5 feet squared
            words = words[:-1]
        if words and not _changes(words) and _counts_things(words):
            return match[1]
    if (match := re.match(_NUMBER, text)) and match.end() < len(text):
        written = re.fullmatch(_SCIENTIFIC, match[0]) or "." in match[0]  # no coefficient of a variable m
        single = () if not text[match.end()].isspace() else _UPRIGHT if written else _BARE
        if is_unit(text[match.end() :], single):
            return match[0]
    if (match := _VALUE_WORDS.fullmatch(text)) and re.search(r"\d|\\pi", match[1]) and not _OPERATOR.search(match[1]):
        words = match[2].split()
        counted = all(re.fullmatch("[a-z]+", word) for word in words) and _counts_things(words)
        alone = not re.search(r"(?<!\\)\b[a-z]{3}", match[1])  # not 5 hours 30 minutes
        alone = alone and (not match[1].endswith("\\pi") or _BESIDE_PI.match(match[2]) is not None)
        if alone and (is_unit(match[2]) or (counted and not _changes(words))):
            return match[1]
    return text


def _counts_things(words: list[str]) -> bool:
    """Whether the words after a number say what it counts: the first does, and the others have two letters at least.

    >>> _counts_things(["red", "balls"]), _counts_things(["kg", "of", "tea"]), _counts_things(["xy"])
    (True, True, False)
    """
    first = words[0]
    known = len(first) >= 4 or first in _SHORT_WORDS or (len(first) > 1 and first in _UNITS)
    return known and all(len(word) > 1 or word == "a" for word in words) and (len(words) > 1 or first not in _LEADING)


def _changes(words: list[str]) -> bool:
    """Whether one of the words after a number changes its value; "negative" does at the end only."""
    parts = {part for word in words for part in word.strip(".,;:()").split("-")}
    return bool(parts & (_NOT_UNITS | NUMBER_WORDS) - ({"negative"} if words[-1] != "negative" else set()))


def _is_upright_unit(text: str) -> bool:
    """Whether a text is a unit in upright letters, or a fraction of two."""
    if fraction := _UNIT_FRACTION.fullmatch(text):
        return all(re.search(_WRAPPED, part) and is_unit(part, _UPRIGHT) for part in fraction.groups())
    return is_unit(text, _UPRIGHT)


_LEADING = frozenset("of the per in a an all red big old new".split())


def is_unit(text: str, single: frozenset[str] | tuple[()] = ()) -> bool:
    r"""Whether a text is nothing but units, their powers, products and quotients.

    Args:
        text: plain or in upright wrappers.
        single: single letters that count as a unit when they stand alone, without a power or a second unit.

    Example:
        >>> [is_unit(u) for u in (r"\mathrm{kg}\cdot\mathrm{m/s}", " m/s^2", "sq. ft", "xy", "m")]
        [True, True, True, False, False]
    """
    text = re.sub(_WRAPPED, r" \1 ", text.replace("\\ ", " ")).strip()
    if _CLOCK_SIGN.fullmatch(text):
        return False
    found: list[str] = []
    at = 0
    while at < len(text):
        factor = _FACTOR.match(text, at)
        if factor is None or factor.end() == at:
            return False
        word = factor[1].rstrip(".")
        if word not in ("per", "Å") and word not in _UNITS and "\\" not in word:
            return False
        found += [word] if word != "per" else []
        at = factor.end()
    if found == ["m"] and re.search(r"\^\s?\{?[23]", text):  # square or cubic metres
        return True
    if len(found) == 1 and len(found[0]) == 1 and found[0] != "Å":
        return found[0] in single and (text.rstrip(".") == found[0] or "^" in text)
    return bool(found)


def _upright_starts(text: str) -> list[int]:
    r"""Where a unit may begin: at an upright wrapper, or at \Omega or \mu, behind something."""
    return [
        m.start()
        for m in re.finditer(rf"\\(?:{_WRAPPERS})\s*\{{|\\Omega|\\mu(?![a-zA-Z])|\\frac", text)
        if m.start() > 0
    ]


def _trimmed(text: str) -> str:
    r"""Without the blank or product sign that parts a value from its unit."""
    return re.sub(r"(?:\s|\\,|\\ |~|\\cdot|\\times)+$", "", text)


def _counts(text: str) -> bool:
    """Whether upright words after a number say what it counts, and do not change it."""
    words = {word.strip(".,;:()") for word in re.split(r"[\s/]+", text.casefold()) if word.strip(".,;:()")}
    single = text.strip(" .")
    if len(single) == 1 and single.isalpha():
        return single in _UPRIGHT
    if _changes(text.casefold().split()) or words & _NOT_UNITS or _CLOCK_SIGN.fullmatch(text):
        return False
    short = len(words) == 1 and len(single) < 4  # a product of letters, if no unit
    return (
        is_unit(text)
        if re.search(r"[\\+=<>^_()\d]", text)
        else not short or single.lower() in _SHORT_WORDS or is_unit(text)
    )
