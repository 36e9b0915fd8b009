"""What the report is made of: sections of sentences, figures and tables, with their data inside."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from markupsafe import Markup, escape

from workflow_scripts.runtime.errors import InputError

# Matplotlib writes the size of an SVG in points
_SVG_SIZE = re.compile(r'<svg[^>]* width="([\d.]+)pt" height="([\d.]+)pt"')
_PIXELS_PER_POINT = 4 / 3


@dataclass(frozen=True)
class Table:
    """Cells as they are shown."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @classmethod
    def of(cls, title: str, rows: Sequence[dict[str, str]]) -> Self:
        """Rows as column → cell; columns that are empty everywhere are left out."""
        every = dict.fromkeys(column for row in rows for column in row)
        columns = [name for name in every if any(row.get(name) for row in rows)]
        return cls(title, columns, [[row.get(name, "") for name in columns] for row in rows])


@dataclass(frozen=True)
class Download:
    """A file that the page holds, or that lies beside the page."""

    name: str
    link: str


@dataclass(frozen=True)
class FigureFile:
    """A drawn figure of a model and task, of one group or (None) of all results."""

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


@dataclass(frozen=True)
class Figure:
    """A figure, what it shows, how to read it, and its numbers. width, height: CSS pixels."""

    title: str
    caption: Markup
    reading: Markup
    image: str
    width: int
    height: int
    data: Download


@dataclass(frozen=True)
class Section:
    """verdicts: what it comes to; text: what else is to be said; folded: tables for who asks."""

    id: str
    title: str
    verdicts: Sequence[str] = ()
    text: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    folded: Sequence[Table] = ()
    sections: Sequence[Section] = ()


def read_figure(file: FigureFile, caption: str) -> Figure:
    """Raises InputError when the figure or its data is missing, or it is no SVG of ours."""
    first, *rest = " ".join(caption.split()).split(". ", maxsplit=1)
    name = "-".join(filter(None, (file.model, file.task, file.group, file.name)))
    data = file.svg.with_suffix(".csv")
    svg, numbers = (_read(path) for path in (file.svg, data))
    size = _SVG_SIZE.search(svg.decode(errors="replace"))
    if size is None:
        raise InputError(f"{file.svg}: not an SVG with a size in points; delete it and rerun")
    width, height = (round(float(length) * _PIXELS_PER_POINT) for length in size.groups())
    return Figure(
        title=file.name.replace("_", " "),
        caption=text_of_rst(first.removesuffix(".") + "."),
        reading=text_of_rst("".join(rest)),
        image=data_uri("image/svg+xml", svg),
        width=width,
        height=height,
        data=Download(f"{name}.csv", data_uri("text/csv", numbers)),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; delete its figure and rerun") from None


def data_uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def text_of_rst(text: str) -> Markup:
    """HTML of a caption: one paragraph, with ``code`` and *emphasis* and nothing else."""
    html = str(escape(" ".join(text.split())))
    html = re.sub(r"``(.+?)``", r"<code>\1</code>", html)
    # escaped before, so that nothing but these tags is markup
    return Markup(re.sub(r"\*(.+?)\*", r"<em>\1</em>", html))


def slug(*names: str) -> str:
    """An identifier for links, of names that may hold any sign."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(names)).strip("-").lower()
