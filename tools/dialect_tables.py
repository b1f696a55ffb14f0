"""Write docs/guide/dialects.md from the dialects' own classes and rows."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from api.dialects.aws_handler import AwsHandler
from api.dialects.aws_handler_paths import FILTERS
from api.dialects.dialect import Dialect
from api.dialects.imagor_filters import IMAGORS
from api.dialects.rows import Row, Rows
from api.dialects.table import DIALECTS
from api.dialects.thumbor import Thumbor
from safelight.wish.arguments import COLOURS
from safelight.wish.canonical import FORMS
from safelight.wish.operations import KINDS, MAX_OPERATIONS, MAX_SIDE
from safelight.wish.options import FITS, MAX_PIXELS

Cells = Iterable[tuple[str, ...]]
_MORE: Mapping[type[Dialect], tuple[str, Rows[Any]]] = {
    Thumbor: ("With `SAFELIGHT_THUMBOR_SYSTEM=imagor`, these filters are:", IMAGORS),
    AwsHandler: ("The filters of its thumbor paths are:", FILTERS),
}
"""Dialect -> a second table, with a sentence before it."""


def _table(heads: tuple[str, ...], rows: Cells) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cell or '-' for cell in line)} |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _safe(text: str) -> str:
    """Escape bars, which would end a cell."""
    return text.replace("|", "\\|")


def _options(table: Rows[Any]) -> str:
    """List what is understood, then what is refused."""
    named = [(", ".join(map(_code, (name, *row.also))), row) for name, row in table.rows.items()]
    understood = [
        (names, _code(_safe(row.form)), _effect(row)) for names, row in named if row.reader
    ]
    refused = [(names, row.meaning) for names, row in named if not row.reader]
    return (
        f"{_table(('option', 'form', 'effect'), understood)}\n\n"
        f"{_table(('refused', 'why'), refused)}"
    )


def _effect(row: Row[Any]) -> str:
    return f"{row.meaning} **Differs:** {row.differs}" if row.differs else row.meaning


def _operations() -> str:
    rows = []
    for name, kind in KINDS.items():
        forms = [
            f"{argument.name}: {argument.expected}"
            + ("" if argument.default is None else f"; {argument.default} if left out")
            for argument in kind.arguments
        ]
        short = [form.replace(", ".join(COLOURS), "...") for form in forms]
        rows.append((_code(name), "<br>".join(short), kind.meaning))
    return _table(("operation", "arguments", "meaning"), rows)


def _own_words() -> str:
    words = [(_code(name), _safe(form)) for name, form in FORMS.items()]
    fits = [(_code(name), f"{meaning}.") for name, meaning in FITS.items()]
    return f"""{_table(("word", "form"), words)}

{_table(("fit", "effect"), fits)}

A box and an `extend` have sides of at most {MAX_SIDE} pixels and {MAX_PIXELS:,} pixels in total. A URL has at most {MAX_OPERATIONS} operations:

{_operations()}"""


def _section(dialect: type[Dialect]) -> str:
    """Write the section of a dialect from its class: docstring without its first line, and rows."""
    _, _, text = (inspect.getdoc(dialect) or "").partition("\n\n")
    table = _own_words() if dialect.ROWS is None else _options(dialect.ROWS)
    if dialect in _MORE:
        sentence, rows = _MORE[dialect]
        table += f"\n\n{sentence}\n\n{_options(rows)}"
    return f"## {dialect.TITLE}\n\n{text}\n\n{table}\n"


def dialects_page() -> str:
    """Write docs/guide/dialects.md."""
    sections = "\n".join(map(_section, DIALECTS.values()))
    return f"""# Free-form URLs

A preset URL names a preset. A free-form URL lists its options itself, and is signed. It may use Safelight's own grammar, or that of
thumbor (and imagor), imgproxy, AWS's image handler or imgix, so that clients of those systems can keep their URLs. Each grammar is off
until it has keys ([settings](../operate/settings.md#free-form-urls)). The same options in another grammar are the same asset, rendered
once. [Moving from another system](moving/README.md) has a page for each of them.

- Unsigned URLs are refused, including thumbor's `unsafe` and imgproxy without a key. All configured keys are accepted; the first one signs.
- A secret has at least 16 characters; imgproxy's key has at least 16 bytes. `openssl rand -hex 32` makes one.
- An unknown option is refused by name. An option that asks for the default is accepted without effect. The tables below list all options,
  and say where a picture differs from the one that the other system makes.
- `safelight sign` makes URLs. `safelight explain URL` prints what a URL asks for and, if its signature is wrong, what it covers. It exits
  with 3 if viewers would get an error: it knows delivery's keys, aliases and presets, and `--ask` requests the URL as a viewer does.
  `safelight explain --report FILE` counts the URLs of another system's access log: how many would be answered, how many pictures differ
  as the tables say, and which options are refused.
- Every dialect has a prefix, such as `/thumbor/`, which is never signed. `SAFELIGHT_ROOT_DIALECT` names one that also works without it.
- A query that the signature does not cover is refused, and so are needless escapes in a path: one signature opens one URL.
  `SAFELIGHT_UNKNOWN_QUERY=ignore` ignores parameters that mean nothing in a dialect, as imgproxy does. Then leave the query out of a CDN's
  cache key, at least such parameters, because each spelling would be kept as another picture.
- Metadata is always removed and colours are always sRGB. Without a format, the client's Accept header decides. Only first frames are read.
- A source is a key, `s3://bucket/key`, the address of an object such as `https://bucket.s3.eu-west-1.amazonaws.com/key`, or an image id.
  Sources come from buckets that aliases name; nothing is fetched by HTTP.

`make docs` writes this page from the code.

{sections}"""
