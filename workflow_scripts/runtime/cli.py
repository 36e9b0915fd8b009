"""The command line of an entry point, from the signature of its `main`.

    def main(settings: RunSlice, targets: list[Path], log_table: Path | None = None) -> None:
        \"\"\"Train one student.

        targets: manifests of the targets that it reads.
        \"\"\"

The parameter `log_table` is the flag `--log-table`; its line in the docstring is the help text.
Texts, numbers and paths are single words, a list of paths or integers any number of words,
`bool = False` a switch. A flag with the default None may have no value. `*command: str` is the rest
of the line, `*files: Path` are the words without a flag. Any other type is JSON, validated by
pydantic. JSON and texts may be `packed`.
"""

from __future__ import annotations

import argparse
import gc
import inspect
import re
import sys
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from workflow_scripts.runtime.errors import InputError, run_entry_point
from workflow_scripts.runtime.snakemake_process import end_with_snakemake

Main = Callable[..., None]
_WORDS = (str, int, float, Path)
# letters of a value; Linux takes 128 KiB as one argument
_LONGEST = 100_000
_PACKED = "zlib:"


def packed(value: str) -> str:
    """JSON as an argument: where it is longer than the system takes, compressed."""
    if len(value) < _LONGEST:
        return value
    return _PACKED + b64encode(zlib.compress(value.encode())).decode()


def run_program(main: Main) -> None:
    """Run `main` with the arguments of this process; errors become one line and an exit status.

    It ends with its Snakemake, if it has one.
    """
    gc.freeze()
    gc.enable()
    end_with_snakemake()
    run_entry_point(lambda: call(main, sys.argv[1:]))


def call(main: Main, words: Sequence[str]) -> None:
    """Call `main` with the arguments that a command line holds.

    Raises InputError naming the flag whose value is missing or malformed.
    """
    parser, hints = _parser(main), get_type_hints(main)
    parameters = inspect.signature(main).parameters.values()
    # files may stand before, between and behind flags
    mixed = any(p.kind is p.VAR_POSITIONAL and hints[p.name] is Path for p in parameters)
    given = vars(parser.parse_intermixed_args(words) if mixed else parser.parse_args(words))
    rest = [given.pop(p.name) for p in parameters if p.kind is p.VAR_POSITIONAL]
    main(*(word for words in rest for word in words), **given)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message.removeprefix("argument "))


def _parser(main: Main) -> argparse.ArgumentParser:
    text = inspect.getdoc(main) or ""
    parser = _Parser(description=text.partition("\n\n")[0], allow_abbrev=False)
    hints, helps = get_type_hints(main), _documented(text)
    for parameter in inspect.signature(main).parameters.values():
        options = _options(parameter, hints[parameter.name])
        options["help"] = helps.get(parameter.name, options.get("help"))
        if parameter.kind is parameter.VAR_POSITIONAL and hints[parameter.name] is Path:
            parser.add_argument(parameter.name, nargs="*", type=Path, help=options["help"])
        elif parameter.kind is parameter.VAR_POSITIONAL:
            parser.add_argument(parameter.name, nargs=argparse.REMAINDER, help=options["help"])
        else:
            parser.add_argument(f"--{parameter.name.replace('_', '-')}", **options)
    return parser


def _options(parameter: inspect.Parameter, hint: Any) -> dict[str, Any]:
    """Keyword arguments of argparse's `add_argument`."""
    required = parameter.default is parameter.empty
    options: dict[str, Any] = {"required": required, "help": None}
    if not required:
        options["default"] = parameter.default
    if hint is bool:
        return options | {"action": "store_true"}
    if NoneType in get_args(hint):
        options["nargs"] = "?"
        (hint,) = (kind for kind in get_args(hint) if kind is not NoneType)
    if get_origin(hint) is list and get_args(hint)[0] in (int, Path):
        options["nargs"] = "*"
        (hint,) = get_args(hint)
    if hint in _WORDS:
        kind = _unpacked if hint is str else hint
        return options | {"type": kind, "metavar": hint.__name__.upper()}
    name = hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint)
    return options | {"type": _json_as(hint), "metavar": "JSON", "help": f"{name} as JSON"}


def _json_as(hint: Any) -> Callable[[str], Any]:
    adapter = TypeAdapter(hint)

    def read(text: str) -> Any:
        try:
            return adapter.validate_json(_unpacked(text))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            # argparse puts the flag before it
            raise argparse.ArgumentTypeError(f"{place}: {reason}" if place else reason) from None

    return read


def _unpacked(text: str) -> str:
    if not text.startswith(_PACKED):
        return text
    return zlib.decompress(b64decode(text.removeprefix(_PACKED))).decode()


def _documented(text: str) -> dict[str, str]:
    """What a docstring says of each parameter, in lines such as `png, svg: figures to write.`"""
    names = r"\w+(?:, \w+)*: "
    paragraphs = re.findall(
        rf"^({names})(.+(?:\n(?!{names}|Raises |Returns ).+)*)", text, re.MULTILINE
    )
    return {
        name: " ".join(said.split()).removesuffix(".").replace("%", "%%")
        for own, said in paragraphs
        for name in own.removesuffix(": ").split(", ")
    }
