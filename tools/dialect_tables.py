"""docs/guide/dialects.md, its tables written from the grammars themselves."""

from collections.abc import Iterable
from typing import Any

from api.dialects.aws_handler_edits import EDITS
from api.dialects.imgix_options import OPTIONS as IMGIX
from api.dialects.imgproxy_options import OPTIONS as IMGPROXY
from api.dialects.rows import Rows
from api.dialects.thumbor_filters import FILTERS
from safelight.wish.arguments import COLOURS
from safelight.wish.canonical import FORMS
from safelight.wish.operations import KINDS, MAX_OPERATIONS, MAX_SIDE
from safelight.wish.options import FITS, MAX_PIXELS

Cells = Iterable[tuple[str, ...]]


def _table(heads: tuple[str, ...], rows: Cells) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(f"| {' | '.join(cell or '-' for cell in line)} |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _safe(text: str) -> str:
    """A table's cells end at a bar."""
    return text.replace("|", "\\|")


def _options(table: Rows[Any]) -> str:
    """List what is understood, then what is refused."""
    named = [(", ".join(map(_code, (name, *row.also))), row) for name, row in table.rows.items()]
    understood = [
        (names, _code(_safe(row.form)), row.meaning) for names, row in named if row.reader
    ]
    refused = [(names, row.meaning) for names, row in named if not row.reader]
    return (
        f"{_table(('understood', 'form', 'what it means here'), understood)}\n\n"
        f"{_table(('refused', 'because'), refused)}"
    )


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


def dialects_page() -> str:
    """Write docs/guide/dialects.md."""
    return f"""# Free-form URLs

Besides presets, a signed URL may say itself what is wanted of a picture: in our own grammar, or in that of thumbor (and imagor), imgproxy, AWS's image
handler or imgix, so that clients that already send such URLs need not change. Each is off until it has keys ([settings](settings.md#free-form-urls)).
Whatever grammar it comes in, the same wish is the same asset: it is rendered once.

- Nothing unsigned is answered: not thumbor's `unsafe`, not imgproxy without a key. Of several keys all are accepted and the first one signs.
- A secret has at least 16 characters; imgproxy's key has at least 16 bytes. Make one with `openssl rand -hex 32`.
- What is not understood is an error that names it; what asks for something that is done anyway changes nothing, and the tables say what that is. Sources come from buckets alone; nothing is fetched by HTTP.
- `safelight sign` makes URLs, `safelight explain URL` tells what one asks for, and what a wrong signature is of.
- Every dialect has its prefix, `/thumbor/...`; `SAFELIGHT_ROOT_DIALECT` lets one answer without it. The prefix is never signed.
- A query that no signature covers is refused, and so are escapes of what may stand in a path as it is: one signature is one URL.
- Metadata never leaves and everything is sRGB, whatever a URL says. Without a format the client's Accept decides; only first frames are read.
- A source is a key, `s3://bucket/key`, or an image id.

This page is made from the grammars by `make docs`.

## Our own

    /s/{{signature}}/{{options}}/{{source}}
    /s/.../box=300x200,fit=cover,gravity=attention,sharpen,format=webp/01KAJ0000000000000000000AB

Options are words separated by commas, `_` for none; a word's arguments are separated by colons. The signature is base64url without padding of
HMAC-SHA256(secret, `/{{options}}/{{source}}`), escapes decoded. `expires=SECONDS` among the options, seconds since 1970, ends a URL. After an image id an
extension says the format. `dpr=2` doubles sizes and pads. Done is in this order: upright, trim, turn, crop, resize, flip, the operations as they come, encode.

    SAFELIGHT_OPTIONS_KEYS=... safelight sign box=300x200,fit=cover/01KAJ0000000000000000000AB.webp --expires-in 3600

{_table(("word", "form"), ((_code(name), _safe(form)) for name, form in FORMS.items()))}

{_table(("fit", "what becomes of the picture"), ((_code(name), f"{meaning}.") for name, meaning in FITS.items()))}

A box and an `extend` have sides of at most {MAX_SIDE} pixels and {MAX_PIXELS:,} in all; there are at most {MAX_OPERATIONS} operations:

{_operations()}

## thumbor and imagor

    /thumbor/{{signature}}/{{trim}}/{{crop}}/{{fit-in}}/{{width}}x{{height}}/{{align}}/{{align}}/smart/filters:.../{{image}}

`smart` looks for what stands out, not for faces ([why](decisions/0011-no-faces.md)); `focal` wins over it. `debug` and `meta` are refused, and so is `trim` together with
a crop by hand. Filters are carried out in the order in which they stand. `make compare-thumbor` holds 70 URLs against thumbor itself: sizes are the same to the
pixel, gradient hashes and colours close. A blur a fifth as wide as the picture differed by more, and is not among them.

{_options(FILTERS)}

## imgproxy

    /imgproxy/{{signature}}/{{option}}:{{argument}}.../plain/{{source}}[@{{extension}}]
    /imgproxy/{{signature}}/{{option}}:{{argument}}.../{{source in base64}}[.{{extension}}]

A later option replaces an earlier one of its kind, and all is done in imgproxy's own order. Sources are `s3://bucket/key` or a key; encrypted ones are refused.

{_options(IMGPROXY)}

## AWS's image handler

    /aws/{{base64 of {{"bucket": ..., "key": ..., "edits": {{...}}, "outputFormat": ...}}}}?signature=...
    /aws/{{thumbor path}}?signature=...
    /aws/{{key}}?resize.width=300&format=webp&signature=...

The signature is that of v7, on all three: hexadecimal HMAC-SHA256 of the path, with `?` and the sorted query if there is one. `expires=YYYYMMDDTHHmmssZ` is in the query.
v8's policies are presets here. Edits are carried out as they come, after resizing. In a thumbor path everything is as thumbor has it: a crop comes before resizing, and a
watermark's picture is one word.

{_options(EDITS)}

## imgix

    /imgix/{{path}}?w=400&h=300&s={{MD5}}

`s` comes last. Names that end in `64` have their value in base64.

{_options(IMGIX)}
"""
