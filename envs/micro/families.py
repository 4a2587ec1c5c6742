"""The kinds of bugs: a function of a few lines, of which one is wrong.

In templates, `{f}` is the function, `{a}` and `{b}` its parameters, `{t}` and `{x}` local names, `{line}` the line in
question. A test calls the function with `easy` arguments, for which the wrong line does as well, or with `telling`
ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One kind of bug."""

    name: str
    right: str
    wrong: str
    distractor: str
    """A plausible change of the wrong line that does not mend it."""
    symptom: str
    """What the issue says of the function."""
    easy: tuple[str, str]
    """Arguments, and the result that both the right and the wrong line give."""
    telling: tuple[str, str]
    """Arguments, and the result that only the right line gives."""
    parameters: str = "{a}, {b}"
    body: tuple[str, ...] = ("{line}",)

    def function(self, line: str, names: Mapping[str, str]) -> list[str]:
        """The lines of the function with one of its three lines."""
        filled = line.format_map(names)
        head = f"def {{f}}({self.parameters}):".format_map(names)
        return [head, *("    " + part.format_map({**names, "line": filled}) for part in self.body)]


FAMILIES: tuple[Family, ...] = (
    Family(
        name="sign",
        right="return {a} + {b}",
        wrong="return {a} - {b}",
        distractor="return {b} - {a}",
        symptom="subtracts instead of adding",
        easy=("4, 0", "4"),
        telling=("7, 3", "10"),
    ),
    Family(
        name="limit",
        right="return {a} >= {b}",
        wrong="return {a} > {b}",
        distractor="return {a} < {b}",
        symptom="does not count the limit itself",
        easy=("5, 2", "True"),
        telling=("4, 4", "True"),
    ),
    Family(
        name="extreme",
        right="return max({a}, {b})",
        wrong="return min({a}, {b})",
        distractor="return min({b}, {a})",
        symptom="gives the smaller value instead of the larger",
        easy=("6, 6", "6"),
        telling=("2, 9", "9"),
    ),
    Family(
        name="last",
        right="return {a}[-1]",
        wrong="return {a}[0]",
        distractor="return {a}[1]",
        symptom="gives the first item instead of the last",
        easy=("[3]", "3"),
        telling=("[5, 6, 8]", "8"),
        parameters="{a}",
    ),
    Family(
        name="capitals",
        right="return {a}.upper()",
        wrong="return {a}.lower()",
        distractor="return {a}.title()",
        symptom="gives small letters instead of capitals",
        easy=('"7"', '"7"'),
        telling=('"ab"', '"AB"'),
        parameters="{a}",
    ),
    Family(
        name="absent",
        right="return {a}.get({b}, 0)",
        wrong="return {a}.get({b})",
        distractor="return {a}[{b}]",
        symptom="gives no zero for an absent key",
        easy=("{1: 2}, 1", "2"),
        telling=("{1: 2}, 3", "0"),
    ),
    Family(
        name="every",
        right="return all({a})",
        wrong="return any({a})",
        distractor="return bool({a})",
        symptom="accepts when only some items hold",
        easy=("[True]", "True"),
        telling=("[True, False]", "False"),
        parameters="{a}",
    ),
    Family(
        name="fraction",
        right="return {a} / {b}",
        wrong="return {a} // {b}",
        distractor="return {a} % {b}",
        symptom="loses the fraction",
        easy=("8, 4", "2"),
        telling=("5, 2", "2.5"),
    ),
    Family(
        name="blanks",
        right="return {a}.strip()",
        wrong="return {a}.lstrip()",
        distractor="return {a}.rstrip()",
        symptom="leaves blanks at the end",
        easy=('" x"', '"x"'),
        telling=('" x "', '"x"'),
        parameters="{a}",
    ),
    Family(
        name="falling",
        right="return sorted({a}, reverse=True)",
        wrong="return sorted({a})",
        distractor="return list({a})",
        symptom="sorts upwards instead of downwards",
        easy=("[2]", "[2]"),
        telling=("[1, 3, 2]", "[3, 2, 1]"),
        parameters="{a}",
    ),
    Family(
        name="total",
        right="return {t}",
        wrong="return {x}",
        distractor="return {a}",
        symptom="forgets all items but the last",
        easy=("[4]", "4"),
        telling=("[1, 2, 3]", "6"),
        parameters="{a}",
        body=("{t} = 0", "for {x} in {a}:", "    {t} += {x}", "{line}"),
    ),
    Family(
        name="positive",
        right="if {x} > 0:",
        wrong="if {x} < 0:",
        distractor="if {x} == 0:",
        symptom="finds a negative item instead of a positive one",
        easy=("[]", "0"),
        telling=("[-1, 2]", "2"),
        parameters="{a}",
        body=("for {x} in {a}:", "    {line}", "        return {x}", "return 0"),
    ),
)
"""All kinds, in a fixed order."""
