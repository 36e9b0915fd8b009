"""The document model: what the report says, ready for a template to lay out."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from workflow_scripts.results import formatting as fmt
from workflow_scripts.runtime.checksums import checked
from workflow_scripts.runtime.errors import InputError
from workflow_scripts.tables.verdicts import BETTER, LESS, MORE, WORSE

# an answer that is not the gold one
WRONG = "wrong"
# characters of a text that are shown, and of its rest that are shown on request
LONGEST_TEXT = 300
LONGEST_REST = 1500
# the header of a CSV is row 1
_FIRST_ROW = 2
# more spans of rows are shown as one
_SPANS = 3
# of a figure with a larger SVG, such as a heat map, the PNG is shown if it is smaller
LARGEST_SVG = 150_000
# Matplotlib writes the size of an SVG in points
_SVG_SIZE = re.compile(r'<svg[^>]* width="([\d.]+)pt" height="([\d.]+)pt"')
_PIXELS_PER_POINT = 4 / 3


class Source(str):
    """Rows of a table on disk that something in the report is made from: `3`, `3–7, 12`.

    Rows are counted as a spreadsheet counts them: the header is 1.
    """

    __slots__ = ("file", "numbers")
    file: str
    numbers: tuple[int, ...]

    @classmethod
    def of(cls, table: str, labels: Iterable[Hashable]) -> Self:
        """labels: of rows in the index of the table, as `read_table` reads it."""
        numbers = tuple(sorted({int(str(label)) + _FIRST_ROW for label in labels}))
        spans = _spans(numbers)
        many = f"{numbers[0]} … {numbers[-1]} ({len(numbers)} rows)"
        source = cls(many if len(spans) > _SPANS else ", ".join(spans))
        source.file, source.numbers = f"{table}.csv", numbers
        return source

    @property
    def link(self) -> str:
        """To these rows of the file beside the page, as RFC 7111 names them."""
        return f"{self.file}#row={';'.join(_spans(self.numbers)).replace('–', '-')}"


def _spans(numbers: Sequence[int]) -> list[str]:
    """`3–7` where numbers follow each other."""
    every = set(numbers)
    starts = [n for n in numbers if n - 1 not in every]
    ends = [n for n in numbers if n + 1 not in every]
    both = zip(starts, ends, strict=True)
    return [str(start) if start == end else f"{start}–{end}" for start, end in both]


def cited(table: str, *rows: pd.Series | pd.DataFrame) -> dict[str, str]:
    """The cell of a row that is made from these rows of a table on disk; none without rows.

    rows: with the index of the table, as `read_table` reads it.
    """
    labels = [label for part in rows for label in _labels(part)]
    return {f"{table}.csv": Source.of(table, labels)} if labels else {}


def sources(table: str, *rows: pd.Series | pd.DataFrame) -> list[Source]:
    """The same for findings."""
    return [source for source in cited(table, *rows).values() if isinstance(source, Source)]


def _labels(rows: pd.Series | pd.DataFrame) -> list[Hashable]:
    return list(rows.index) if isinstance(rows, pd.DataFrame) else [rows.name]


class Text(str):
    """A text of an item or a model, which may be long and hold anything.

    The page shows `LONGEST_TEXT` characters, up to `LONGEST_REST` further ones on request, and
    says how many more there are.
    """

    __slots__ = ()

    @property
    def shown(self) -> str:
        return self[:LONGEST_TEXT]

    @property
    def rest(self) -> str:
        return self[LONGEST_TEXT : LONGEST_TEXT + LONGEST_REST]

    @property
    def left_out(self) -> int:
        return max(len(self) - LONGEST_TEXT - LONGEST_REST, 0)


def text_of(cell: str | float | None) -> Text:
    """cell: missing where there is no text."""
    return Text("" if pd.isna(cell) else cell)


@dataclass(frozen=True)
class Table:
    """Cells as they are shown. sources: of each row, in the order of `files`."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    files: Sequence[str] = ()
    sources: Sequence[Sequence[Source | None]] = ()

    @classmethod
    def of(cls, title: str, rows: Sequence[Mapping[str, str]]) -> Self:
        """Rows as column → cell; columns that are empty everywhere are left out.

        Cells from `cited` are the sources of their row.
        """
        every = dict.fromkeys(column for row in rows for column in row)
        sources = [{k: v for k, v in row.items() if isinstance(v, Source)} for row in rows]
        files = [name for name in every if any(name in own for own in sources)]
        columns = [
            name for name in every if name not in files and any(row.get(name) for row in rows)
        ]
        return cls(
            title,
            columns,
            [[row.get(name, "") for name in columns] for row in rows],
            files,
            [[own.get(name) for name in files] for own in sources],
        )

    @property
    def markdown(self) -> str:
        index, *columns = self.columns
        table = pd.DataFrame([row[1:] for row in self.rows], columns=columns)
        return fmt.markdown_table(table.set_axis(pd.Index([r[0] for r in self.rows], name=index)))


@dataclass(frozen=True)
class Download:
    """A file that the page embeds, or that lies beside the page."""

    name: str
    link: str
    caption: str = ""

    @property
    def is_held(self) -> bool:
        """Whether the page itself holds it."""
        return self.link.startswith("data:")


class Room:
    """Room for files within a page: the first ones that fit are held, others are linked."""

    def __init__(self, page: Path, size: float) -> None:
        """size: in bytes of the page."""
        self._folder = page.parent
        self._left = size

    def link(self, file: Path) -> str:
        """The file as a data URI where there is room, or else its path from the page.

        Raises InputError when it is missing.
        """
        content = _read(file)
        held = data_uri(_KINDS[file.suffix], content)
        if len(held) > self._left:
            return quote(Path(os.path.relpath(file, self._folder)).as_posix())
        self._left -= len(held)
        return held


# suffix → media type
_KINDS = {".csv": "text/csv", ".svg": "image/svg+xml", ".png": "image/png"}


@dataclass(frozen=True)
class Figure:
    """A figure with its caption and numbers.

    group: the comparison group it shows, or None for a figure about all results.
    caption: what it shows. reading: how to read it. width, height: CSS pixels.
    """

    name: str
    group: str | None
    caption: Markup
    reading: Markup
    image: str
    width: int
    height: int
    data: Download

    @property
    def is_held(self) -> bool:
        """Whether the page itself holds it."""
        return self.image.startswith("data:")

    @property
    def title(self) -> str:
        return self.name.replace("_", " ")


@dataclass(frozen=True)
class Section:
    """findings: what is shown, in one line each. sources: of the findings.

    folded: tables that open on request.
    is_detail: the summary for the terminal leaves it out.
    """

    id: str
    title: str
    findings: Sequence[str] = ()
    sources: Sequence[Source] = ()
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()
    is_detail: bool = False


@dataclass(frozen=True)
class Part:
    """One model on one task.

    summary: the main result. gap: what the demonstrations give a model that runs here.
    """

    id: str
    model: str
    dtype: str
    task: str
    summary: Section
    caveats: Sequence[str]
    gap: Section | None
    sections: Sequence[Section]

    @property
    def title(self) -> str:
        return f"{self.model} on {self.task}"

    @property
    def every_section(self) -> list[Section]:
        return [*([self.gap] if self.gap else []), *self.sections]


@dataclass(frozen=True)
class Document:
    """overview: the gap of every part where there are several."""

    overview: Table | None
    parts: Sequence[Part]
    setup: Section


def render(template: Path, **content: object) -> str:
    """The text of a Jinja template; escaped as HTML where its name says so."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        autoescape=template.suffix == ".html",
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = fmt.percent
    environment.filters["sha256"] = _sha256
    environment.tests["text"] = lambda cell: isinstance(cell, Text)
    environment.tests["shown"] = lambda cell: cell in (BETTER, WORSE, LESS, MORE, WRONG)
    return f"{environment.get_template(template.name).render(**content).strip()}\n"


def _sha256(text: str) -> str:
    """As a content security policy names an inline script or style."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


# --- figures ------------------------------------------------------------------------------


@dataclass(frozen=True)
class FigureFile:
    """A drawn figure of a model and task, about one comparison group or (None) all results."""

    model: str
    task: str
    group: str | None
    name: str
    svg: Path

    @classmethod
    def at(cls, svg: Path) -> Self:
        """From its path: `…/figures/<model>/<task>/[<group>/]<name>.svg`.

        Raises InputError when the path is another.
        """
        parts = svg.with_suffix("").parts
        place = len(parts) - 1 - parts[::-1].index("figures") if "figures" in parts else len(parts)
        match parts[place + 1 :]:
            case (model, task, name):
                return cls(model, task, None, name, svg)
            case (model, task, group, name):
                return cls(model, task, group, name, svg)
        raise InputError(f"{svg}: not the path of a figure (figures/<model>/<task>/<name>.svg)")

    def read(self, caption: str, images: Room, data: Room) -> Figure:
        """images, data: room for it and for its numbers in the page.

        Raises InputError when the figure or its data is missing, or it is no SVG of ours.
        """
        first, *rest = " ".join(caption.split()).split(". ", maxsplit=1)
        name = "-".join(filter(None, (self.model, self.task, self.group, self.name)))
        size = _SVG_SIZE.search(_read(self.svg).decode(errors="replace"))
        if size is None:
            raise InputError(f"{self.svg}: not an SVG with a size in points; delete it and rerun")
        width, height = (round(float(length) * _PIXELS_PER_POINT) for length in size.groups())
        return Figure(
            name=self.name,
            group=self.group,
            caption=text_of_rst(first.removesuffix(".") + "."),
            reading=text_of_rst("".join(rest)),
            image=images.link(self._smaller),
            width=width,
            height=height,
            data=Download(f"{name}.csv", data.link(self.svg.with_suffix(".csv"))),
        )

    @property
    def _smaller(self) -> Path:
        """The SVG, or where that is large the smaller of SVG and PNG."""
        png = self.svg.with_suffix(".png")
        size = self.svg.stat().st_size
        return png if size > LARGEST_SVG and png.stat().st_size < size else self.svg


def _read(path: Path) -> bytes:
    try:
        return checked(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; run snakemake again, which makes it") from None


# --- texts --------------------------------------------------------------------------------


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def text_of_rst(text: str) -> Markup:
    """HTML of a caption: one paragraph, with ``code`` and *emphasis* and nothing else."""
    html = str(escape(" ".join(text.split())))
    html = re.sub(r"``(.+?)``", r"<code>\1</code>", html)
    # escaped before, so that nothing but these tags is markup
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", html))


def slug(*names: str) -> str:
    """An identifier for links, from names that may hold any character."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(names)).strip("-").lower()
