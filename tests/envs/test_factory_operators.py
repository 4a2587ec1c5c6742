"""Operators make small, valid edits that change the meaning, and source edits keep everything else."""

import ast

import pytest
from trajectory_hub.envs.factory.operators import OPERATORS, load_operators, mutations
from trajectory_hub.envs.factory.source import Edit, Source

EXAMPLES = {
    "flip_comparison": ("return a == b", "return a != b"),
    "shift_boundary": ("return a < b", "return a <= b"),
    "swap_and_or": ("return a and b", "return a or b"),
    "weaken_condition": ("return a and b", "return a"),
    "negate_condition": ("if a:\n        return b", "if not a:\n        return b"),
    "loop_condition": ("for i in range(a):\n        b(i)", "for i in range(a - 1):\n        b(i)"),
    "wrong_operator": ("return a + b", "return a - b"),
    "off_by_one": ("return a[1]", "return a[2]"),
    "trim_slice": ("return a[1:b]", "return a[:b]"),
    "flip_flag": ("return b(a, True)", "return b(a, False)"),
    "swap_alternatives": ("return a if c else b", "return b if c else a"),
    "swap_arguments": ("return c(a, b)", "return c(b, a)"),
    "drop_keyword": ("return c(a, key=b)", "return c(a)"),
    "wrong_method": ("return a.lstrip()", "return a.rstrip()"),
    "wrong_variable": ("return a", "return b"),
    "drop_branch": ("if a:\n        b()\n    else:\n        c()", "if a:\n        b()\n"),
    "drop_handler": (
        "try:\n        a()\n    except KeyError:\n        return b",
        "try:\n        a()\n    except KeyError:\n        raise",
    ),
    "widen_handler": (
        "try:\n        a()\n    except KeyError:\n        return b",
        "try:\n        a()\n    except Exception:\n        return b",
    ),
    "narrow_handler": (
        "try:\n        a()\n    except (KeyError, IndexError):\n        return b",
        "try:\n        a()\n    except IndexError:\n        return b",
    ),
    "drop_return": ("return a", "a"),
    "drop_update": ("a += 1\n    return a", "return a"),
    "remove_guard": ("if not a:\n        return b\n    return c", "return c"),
}


def function(body: str) -> Source:
    return Source(f"def f(a, b, c=3):\n    {body}\n")


def made(name: str, source: Source) -> list[str]:
    texts = (m.apply(source) for m in mutations(source, source.functions[0]) if m.operator == name)
    return [text for text in texts if text is not None]


@pytest.mark.parametrize(("name", "example"), EXAMPLES.items(), ids=EXAMPLES)
def test_operator_makes_its_bug(name: str, example: tuple[str, str]) -> None:
    before, after = example
    wanted = ast.dump(function(after).tree)
    assert wanted in [ast.dump(ast.parse(text)) for text in made(name, function(before))]


def test_change_default_changes_the_default() -> None:
    assert "def f(a, b, c=4):" in made("change_default", function("return a"))[0]


def test_every_operator_is_tried_here() -> None:
    assert set(load_operators()) == {*EXAMPLES, "change_default"}
    assert len(OPERATORS) >= 14


def test_mutations_change_one_place_and_keep_comments_and_layout() -> None:
    text = (
        "def f(a, b):  # first\n    if a  <  b:   # second\n        return [a,\n                b]\n    return  None\n"
    )
    source = Source(text)
    found = [m.apply(source) for m in mutations(source, source.functions[0])]
    assert len(found) > 3
    for changed in found:
        assert changed is not None and "# first" in changed
        old, new = text.splitlines(), changed.splitlines()
        assert sum(line not in old for line in new) <= 2


def test_mutations_are_the_same_every_time() -> None:
    source = function("if a == 1 and b:\n        return c[1:]\n    return max(a, b)")
    assert list(mutations(source, source.functions[0])) == list(mutations(source, source.functions[0]))


def test_f_strings_and_annotations_are_left_alone() -> None:
    source = Source("def f(a, b):\n    x: list[int] = a\n    return f'{a + 1}'\n")
    assert {m.operator for m in mutations(source, source.functions[0])} <= {"drop_return", "wrong_variable"}


def test_offsets_count_characters_and_not_bytes() -> None:
    source = Source("def f(a, b):\n    return 'éü→', a == b\n")
    assert "return 'éü→', a != b" in made("flip_comparison", source)[0]


def test_edits_are_applied_from_the_end() -> None:
    source = Source("abc = 1\n")
    assert source.apply([Edit(0, 3, "longer_name"), Edit(6, 7, "2")]) == "longer_name = 2\n"


def test_functions_know_their_names_and_lines() -> None:
    source = Source(
        "class A:\n    @property\n    def b(self):\n        def inner(): pass\n        return 1\n\ndef c(): pass\n"
    )
    assert [(f.name, f.first, f.last) for f in source.functions] == [("A.b", 2, 5), ("c", 7, 7)]
