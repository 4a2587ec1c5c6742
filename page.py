"""A page as data: sections of text, tables, figures, links and folded parts, as Markdown or as one HTML file.

Whatever an agent, a task or a file said is text: escaped for HTML, and for Markdown. Nothing is loaded from elsewhere,
and no script runs.
"""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from urllib.parse import quote

__all__ = ["Badge", "Block", "Code", "Details", "Drawing", "Heading", "Link", "Listing", "Page", "Table", "Text"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~])")
_NUMBER = r"[+-]?[\d.,]+(?:e[+-]?\d+)?"
_FIGURE = re.compile(
    rf"(?:< )?{_NUMBER} ?(?:%|ms|s|min|h|points)?(?: to {_NUMBER}%?| \[{_NUMBER}%?, {_NUMBER}%?\](?: points)?)?"
)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Link:
    """A way to another file, relative to the page."""

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Badge:
    """A word that is seen at once."""

    text: str
    good: bool | None = None
    """Green, red, or neither."""


Cell = str | int | float | None | Link | Badge


@dataclass(frozen=True, slots=True)
class Heading:
    """Opens a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    lead: bool = False
    """It says what matters most."""


@dataclass(frozen=True, slots=True)
class Code:
    """What is to be typed, or was written by somebody."""

    text: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences, one below the other."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows; None is shown as a dash."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawing, with what it shows in words."""

    name: str
    svg: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True)
class Details:
    """A part that is folded until it is wanted."""

    summary: str
    blocks: "tuple[Block, ...]"


Block = Heading | Text | Code | Listing | Table | Drawing | Details


@dataclass(frozen=True, slots=True)
class Page:
    """A report."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """The Markdown refers to them as `figures/<name>.svg`."""
        return tuple(_drawings(self.blocks))

    def texts(self, name: str) -> dict[str, str]:
        """The report's files by their paths: its figures, `<name>.md` and `<name>.html`."""
        figures = {f"figures/{drawing.name}.svg": drawing.svg for drawing in self.drawings}
        return figures | {f"{name}.md": self.markdown(), f"{name}.html": self.html()}

    def markdown(self) -> str:
        """As Markdown."""
        return "\n\n".join([f"# {_md(self.title)}", *map(_markdown, self.blocks)]) + "\n"

    def html(self) -> str:
        """As one file that needs nothing else."""
        title = escape(_plain(self.title))
        style = files("trajectory_hub").joinpath("page.css").read_text(encoding="utf-8")
        headings = [block.text for block in self.blocks if isinstance(block, Heading)]
        contents = "".join(f'<a href="#{_slug(text)}">{escape(text)}</a>' for text in headings)
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
            f"<style>\n{style}</style>\n</head>\n<body>\n<header><h1>{title}</h1><nav>{contents}</nav></header>\n<main>\n"
            + "\n".join(map(_html, self.blocks))
            + "\n</main>\n</body>\n</html>\n"
        )


def _drawings(blocks: Iterable[Block]) -> Iterable[Drawing]:
    for block in blocks:
        if isinstance(block, Drawing):
            yield block
        elif isinstance(block, Details):
            yield from _drawings(block.blocks)


def _plain(value: object) -> str:
    return "-" if value is None else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", str(value))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


# Markdown -------------------------------------------------------------------------------------------------------------


def _md(value: object) -> str:
    return _MARKDOWN.sub(r"\\\1", _plain(value).replace("\n", " "))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_md(text)}"
        case Text(text, lead):
            return f"**{_md(text)}**" if lead else _md(text)
        case Code(text, title):
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
            named = f"{_md(title)}\n\n" if title else ""
            return f"{named}{fence}\n{_plain(text)}\n{fence}"
        case Listing(items):
            return "\n".join(f"- {_md(item)}" for item in items)
        case Drawing(name, _, alt, caption):
            return f"![{_md(alt)}](figures/{name}.svg)\n\n{_md(caption)}"
        case Details(summary, blocks):
            inside = "\n\n".join(map(_markdown, blocks))
            return f"<details><summary>{escape(_plain(summary))}</summary>\n\n{inside}\n\n</details>"
        case Table(title, columns, rows):
            lines = [
                _line(map(_md, columns)),
                _line("---" for _ in columns),
                *(_line(map(_md_cell, row)) for row in rows),
            ]
            return (f"**{_md(title)}**\n\n" if title else "") + "\n".join(lines)


def _md_cell(cell: object) -> str:
    match cell:
        case Link(text, target):
            return f"[{_md(text)}]({quote(target)})"
        case Badge(text):
            return f"**{_md(text)}**"
        case _:
            return _md(cell)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


# HTML -----------------------------------------------------------------------------------------------------------------


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f'<h2 id="{_slug(text)}">{escape(_plain(text))}</h2>'
        case Text(text, lead):
            return f"<p{' class=lead' if lead else ''}>{escape(_plain(text))}</p>"
        case Code(text, title):
            named = f"<p class=title>{escape(_plain(title))}</p>" if title else ""
            return f"{named}<pre><code>{escape(_plain(text))}</code></pre>"
        case Listing(items):
            return "<ul>" + "".join(f"<li>{escape(_plain(item))}</li>" for item in items) + "</ul>"
        case Drawing(_, svg, alt, caption):
            data = base64.b64encode(svg.encode()).decode()
            picture = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(_plain(alt))}">'
            return (
                f"<figure><div class=scroll>{picture}</div><figcaption>{escape(_plain(caption))}</figcaption></figure>"
            )
        case Details(summary, blocks):
            inside = "\n".join(map(_html, blocks))
            return f"<details><summary>{escape(_plain(summary))}</summary>\n{inside}\n</details>"
        case Table(title, columns, rows):
            return _html_table(title, columns, rows)


def _html_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    figures = [_figures([row[place] for row in rows if place < len(row)]) for place in range(len(columns))]
    head = "".join(
        f'<th scope="col"{" class=figures" if right else ""}>{escape(_plain(name))}</th>'
        for name, right in zip(columns, figures, strict=True)
    )
    body = "\n".join(
        "<tr>" + "".join(_html_cell(cell, right=right) for cell, right in zip(row, figures, strict=False)) + "</tr>"
        for row in rows
    )
    caption = f"<caption>{escape(_plain(title))}</caption>" if title else ""
    return f"<div class=scroll><table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"


def _figures(cells: Sequence[object]) -> bool:
    """Whether a column holds nothing but figures, some at least."""
    known = [cell for cell in cells if cell is not None and cell != "-"]
    return bool(known) and all(map(_is_figure, known))


def _is_figure(cell: object) -> bool:
    """A number, also with its unit, its interval or as a range."""
    return isinstance(cell, int | float) or (isinstance(cell, str) and _FIGURE.fullmatch(cell) is not None)


def _html_cell(cell: object, *, right: bool = False) -> str:
    match cell:
        case Link(text, target):
            inside = f'<a href="{escape(quote(target))}">{escape(_plain(text))}</a>'
        case Badge(text, good):
            kind = "" if good is None else " good" if good else " bad"
            inside = f'<span class="badge{kind}">{escape(_plain(text))}</span>'
        case _:
            inside = escape(_plain(cell))
    kinds = [name for name, is_so in (("number", _is_figure(cell)), ("figures", right)) if is_so]
    names = f' class="{" ".join(kinds)}"' if len(kinds) > 1 else f" class={kinds[0]}" if kinds else ""
    return f"<td{names}>{inside}</td>"
