"""A report as data, written as Markdown or as one HTML file that needs nothing else."""

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Block", "Code", "Document", "Figure", "Heading", "Table", "Text"]

_MARKDOWN = re.compile(r"([\\`*{}\[\]<>|#])")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 80rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; }
td { font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1.5rem 0; }
figure img { max-width: 100%; background: white; }
figcaption { color: #777; }
.lead { font-size: 1.2rem; font-weight: 600; border-left: .4rem solid; padding-left: .8rem; }
"""


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
    """A line to be typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of plain text; None is shown as a dash."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawing, with what it shows in words."""

    name: str
    svg: str
    alt: str
    """All that it shows, for those who do not see it."""
    caption: str
    """What it is."""


Block = Heading | Text | Code | Table | Figure


@dataclass(frozen=True, slots=True)
class Document:
    """A report."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The drawings; the Markdown refers to them as `<name>.svg`."""
        return tuple(block for block in self.blocks if isinstance(block, Figure))

    def markdown(self) -> str:
        """As Markdown. Whatever came from elsewhere is escaped."""
        return "\n\n".join([f"# {_md(self.title)}", *map(_markdown, self.blocks)]) + "\n"

    def html(self) -> str:
        """As one HTML page without scripts; drawings are embedded."""
        title = escape(self.title)
        body = "\n".join(map(_html, self.blocks))
        return (
            f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
        )


def _plain(value: object) -> str:
    return "-" if value is None else _CONTROL.sub(" ", str(value))


def _md(value: object) -> str:
    return _MARKDOWN.sub(r"\\\1", _plain(value))


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_md(text)}"
        case Text(text, lead):
            return f"**{_md(text)}**" if lead else _md(text)
        case Code(text):
            return "```\n" + _plain(text).replace("```", "``") + "\n```"
        case Figure(name, _, alt, _):
            return f"![{_md(alt)}]({name}.svg)"
        case Table(title, columns, rows):
            lines = [_line(columns), _line("---" for _ in columns), *(_line(map(_md, row)) for row in rows)]
            return f"{_md(title)}\n\n" + "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(_plain(text))}</h2>"
        case Text(text, lead):
            opening = '<p class="lead">' if lead else "<p>"
            return f"{opening}{escape(_plain(text))}</p>"
        case Code(text):
            return f"<pre><code>{escape(_plain(text))}</code></pre>"
        case Figure(_, svg, alt, caption):
            data = base64.b64encode(svg.encode()).decode()
            picture = f'<img src="data:image/svg+xml;base64,{data}" alt="{escape(alt)}">'
            return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"
        case Table(title, columns, rows):
            head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
            body = "\n".join(f"<tr>{_cells(row)}</tr>" for row in rows)
            caption = f"<caption>{escape(title)}</caption>"
            return f"<table>{caption}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def _cells(row: Sequence[object]) -> str:
    first, *rest = (escape(_plain(cell)) for cell in row)
    return f'<th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest)
