"""Languages whose tests are planted as text: how a test is found, what it is called, how one says that it fails."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from .definitions import Definition, blank, by_braces, by_calls, by_indent
from .model import squash

__all__ = ["KNOWN", "Language", "language_of"]

Forms = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """How tests of one language are written."""

    name: str
    suffixes: tuple[str, ...]
    find: Callable[[str], list[Definition]]
    """The tests of a file."""
    title: Callable[[list[str], Definition], str]
    """What a new test of these words is called, beside that definition."""
    forms: Callable[[str, Definition], Forms]
    """Statements that fail exactly when `{a}` and `{b}` differ; `{x}` is a string of `{a}` letters."""
    write: Callable[[str, str, Definition], str]
    """A new test from its name and statement, beside that definition."""
    no_break: re.Pattern[str] | None = None
    """Heads of tests that pass by failing."""
    ends: Callable[[str], str] = lambda body: ""
    """What a body needs at its end before another statement can follow."""

    def belongs(self, test: str, definition: Definition) -> bool:
        """Whether a test id of a log may be that definition."""
        if self.name == "Go":
            of_suite = definition.head.startswith("func (")
            return test == definition.title or (of_suite and test.endswith(f"/{definition.title}"))
        title = squash(definition.title)
        return squash(test).endswith(title.removeprefix("test") if self.name == "PHP" else title)


def _spoken(words: list[str], beside: Definition) -> str:
    return " ".join(words)


def _camel(words: list[str], beside: Definition) -> str:
    return "test" + "".join(word.title() for word in words)


def _snake(words: list[str], beside: Definition) -> str:
    return "_".join(words)


def _indented(beside: Definition, *lines: str) -> str:
    return "\n" + "".join(f"{beside.indent}{line}\n" for line in lines)


_JS_TEST = re.compile(
    r"^(?P<indent>[ \t]*)(?:it|test|specify|QUnit\.test)\s*(?P<open>\()\s*(?P<quote>['\"`])"
    r"(?P<name>(?:\\.|(?!(?P=quote))[^\\\n$])+)(?P=quote)\s*,",
    re.MULTILINE,
)


def _js_forms(text: str, beside: Definition) -> Forms:
    forms = (
        "if (Number('{a}') !== {b}) {{ throw new Error('{a} is not {b}'); }}",
        "[{a}].forEach((one) => {{ if (one !== Number('{b}')) {{ throw new TypeError(String(one)); }} }});",
    )
    matchers = (".toBe(", ".toEqual(", ".to.equal(", ".to.eql(")
    expects = [f"expect(Number('{{a}}')){matcher}{{b}});" for matcher in matchers if f"){matcher}" in text]
    asserts = ("strictEqual", "equal", "deepStrictEqual", "deepEqual")
    own = [f"assert.{name}(Number('{{a}}'), {{b}});" for name in asserts if f"assert.{name}(" in text]
    return (*forms, *expects[:2], *own[:2])


def _js_write(name: str, statement: str, beside: Definition) -> str:
    callee = beside.head.split("(")[0].strip()
    if callee == "QUnit.test":
        return _indented(beside, f"{callee}('{name}', (assert) => {{", f"  assert.ok(true); {statement}", "});")
    return _indented(beside, f"{callee}('{name}', () => {{", f"  {statement}", "});")


_GO_TEST = re.compile(
    r"^(?P<first>func) (?:\([a-zA-Z]\w* \*?\w+\) (?P<name>Test\w+)\((?:[a-zA-Z]\w* \*\w+\.C)?\)"
    r"|(?P<function>Test(?:[A-Z_0-9]\w*)?)\([a-zA-Z]\w* \*\w+\.T\))\s*\{",
    re.MULTILINE,
)
_GO_HEAD = re.compile(r"func (?P<of>\((?P<self>\w+) [^)]*\) )?\w+(?P<given>\((?:(?P<t>\w+) \*\w+\.[TC])?\))")


def _go_parts(beside: Definition) -> tuple[str, str, str]:
    """Receiver and parameters as they are written, and what stands for `*testing.T`: of a method, of its suite."""
    found = _GO_HEAD.match(beside.head)
    if found is None:
        return "", "(t *testing.T)", "t"
    return found["of"] or "", found["given"], found["t"] or f"{found['self']}.T()"


def _go_forms(text: str, beside: Definition) -> Forms:
    t = _go_parts(beside)[2]
    own = [f"{name}.Equal({t}, {{a}}, {{b}})" for name in ("assert", "require") if f"{name}.Equal({t}, " in text]
    return (
        *own,
        f'if got := len("{{x}}"); got != {{b}} {{{{ {t}.Fatalf("got %d, want %d", got, {{b}}) }}}}',
        f'if got := len("{{x}}"); got != {{b}} {{{{ {t}.Errorf("%d is not %d", got, {{b}}) }}}}',
    )


def _go_write(name: str, statement: str, beside: Definition) -> str:
    receiver, given, _ = _go_parts(beside)
    return f"\nfunc {receiver}{name}{given} {{\n\t{statement}\n}}\n"


_RUST_TEST = re.compile(
    r"(?P<first>#\[(?:\w+::)*test(?:\([^\]]*\))?\])\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:async\s+)?"
    r"fn\s+(?P<name>\w+)\s*\(\s*\)\s*(?:->[^{]*)?\{"
)


def _rust_forms(text: str, beside: Definition) -> Forms:
    return (
        "assert_eq!({a}, {b});",
        'assert!("{x}".len() == {b}, "{a} is not {b}");',
        'if "{x}".len() != {b} {{ panic!("{a} is not {b}"); }}',
    )


def _rust_write(name: str, statement: str, beside: Definition) -> str:
    return _indented(beside, "#[test]", f"fn {name}() {{", f"    {statement}", "}")


def _rust_end(body: str) -> str:
    return "" if blank(body, "rust").rstrip()[-1:] in (";", "}", "") else ";"


def _rust_find(text: str) -> list[Definition]:
    return by_braces(text, "rust", _RUST_TEST)


_VOID = r"void\s+(?P<name>{})\s*\(\s*\)\s*(?:throws\s+[\w.,\s]+)?\{{"
_JAVA_TEST = re.compile(
    r"(?P<first>@Test\b(?:\([^)]*\))?)\s*(?:@\w+(?:\([^)]*\))?\s*)*"
    r"(?:(?:public|protected|private|final|static)\s+)*" + _VOID.format(r"\w+")
)
_JAVA_OLD_TEST = re.compile(r"(?P<first>public)\s+(?:final\s+)?" + _VOID.format(r"test\w*"))


def _java_find(text: str) -> list[Definition]:
    return by_braces(text, "java", _JAVA_TEST if "@Test" in text else _JAVA_OLD_TEST)


def _java_forms(text: str, beside: Definition) -> Forms:
    own = ("assertEquals({a}, {b});",) if re.search(r"(?<![.\w])assertEquals\(", text) else ()
    return (
        *own,
        'if (Integer.parseInt("{a}") != {b}) {{ throw new AssertionError("{a} is not {b}"); }}',
        'if ("{x}".length() != {b}) {{ throw new IllegalStateException("{a}"); }}',
    )


def _java_write(name: str, statement: str, beside: Definition) -> str:
    annotation = ("@Test",) if "@Test" in beside.head else ()
    return _indented(beside, *annotation, f"public void {name}() {{", f"  {statement}", "}")


_RUBY_METHOD = re.compile(r"^(?P<indent>[ \t]*)def (?P<name>test_\w+)[ \t]*(?:\([ \t]*\))?[ \t]*\n", re.MULTILINE)
_RUBY_BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)(?:it|test|should|specify|example)[ (]+(?P<quote>[\"'])(?P<name>[^\"'#\n]+)(?P=quote)"
    r"[^\n]*\bdo[ \t]*\n",
    re.MULTILINE,
)


def _ruby_find(text: str) -> list[Definition]:
    return sorted(by_indent(text, _RUBY_METHOD) + by_indent(text, _RUBY_BLOCK), key=lambda found: found.start)


def _ruby_title(words: list[str], beside: Definition) -> str:
    return "test_" + "_".join(words) if beside.head.lstrip().startswith("def ") else " ".join(words)


def _ruby_forms(text: str, beside: Definition) -> Forms:
    own = ["assert_equal({a}, {b})"] if "assert_equal" in text else []
    spec = ["expect({a}).to eq({b})"] if "expect(" in text and ".to eq" in text else []
    return ('raise "{a} is not {b}" unless "{x}".length == {b}', *own, *spec)


def _ruby_write(name: str, statement: str, beside: Definition) -> str:
    word = beside.head.split(None, 1)[0].split("(")[0]
    first = f"def {name}" if word == "def" else f'{word} "{name}" do'
    return _indented(beside, first, f"  {statement}", "end")


_PHP_TEST = re.compile(r"(?P<first>public)\s+function\s+(?P<name>test\w+)\s*\(\s*\)\s*(?::\s*\??\w+\s*)?\{")


def _php_forms(text: str, beside: Definition) -> Forms:
    return ("self::assertSame({a}, {b});", "$this->assertEquals({b}, strlen('{x}'));")


def _php_write(name: str, statement: str, beside: Definition) -> str:
    return _indented(beside, f"public function {name}(): void", "{", f"    {statement}", "}")


_LANGUAGES = (
    Language(
        name="JavaScript",
        suffixes=(".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"),
        find=lambda text: by_calls(text, "javascript", _JS_TEST),
        title=_spoken,
        forms=_js_forms,
        write=_js_write,
        ends=lambda body: ";",
    ),
    Language(
        name="Go",
        suffixes=("_test.go",),
        find=lambda text: by_braces(text, "go", _GO_TEST),
        title=lambda words, beside: "Test" + "".join(word.title() for word in words),
        forms=_go_forms,
        write=_go_write,
    ),
    Language(
        name="Rust",
        suffixes=(".rs",),
        find=_rust_find,
        title=_snake,
        forms=_rust_forms,
        write=_rust_write,
        no_break=re.compile(r"should_panic"),
        ends=_rust_end,
    ),
    Language(
        name="Java",
        suffixes=(".java",),
        find=_java_find,
        title=_camel,
        forms=_java_forms,
        write=_java_write,
        no_break=re.compile(r"expected"),
    ),
    Language(
        name="Ruby",
        suffixes=(".rb",),
        find=_ruby_find,
        title=_ruby_title,
        forms=_ruby_forms,
        write=_ruby_write,
    ),
    Language(
        name="PHP",
        suffixes=(".php",),
        find=lambda text: by_braces(text, "php", _PHP_TEST),
        title=_camel,
        forms=_php_forms,
        write=_php_write,
    ),
)
KNOWN: Mapping[str, tuple[str, ...]] = {"Python": (".py",)} | {one.name: one.suffixes for one in _LANGUAGES}
"""The languages that can hold canaries, and how their files end."""


def language_of(path: str) -> Language | None:
    """The language of a test file that is planted as text; None for Python and for what is not known."""
    name = PurePosixPath(path).name
    return next((one for one in _LANGUAGES if name.endswith(one.suffixes)), None)
