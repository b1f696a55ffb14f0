"""Writes what a URL should ask for in the grammar of a dialect, and proves it by reading it back.

The dialects' own modules write; a URL is given out only if it means exactly what was asked for.
"""

from dataclasses import replace

from api.dialects.dialect import Dialect
from api.dialects.image_url import ImageUrl
from api.dialects.signatures import Signed
from api.dialects.table import Dialects, check_spelling
from safelight.wish.canonical import NOTHING, canonical
from safelight.wish.errors import InvalidOption
from safelight.wish.options import Options

_LONGEST_SIGNATURE = "_" * 88
"""A text as long as the longest signature: SHA-512 in base64, 88 characters."""


def signed_url(dialect: Dialect, signed: Signed, *, key: str | None = None) -> str:
    """Sign a URL with the dialect's first key, or another one; return its path and query."""
    signature = dialect.signature(key or dialect.keys[0], signed.messages[0])
    return dialect.PREFIX.removesuffix("/") + dialect.join(signature, signed.target, signed.query)


def written(dialects: Dialects, dialect: Dialect, wanted: ImageUrl) -> Signed:
    """Write a URL of an image id, ready to be signed.

    Raises an `InvalidOption` that names what the dialect cannot express.
    """
    normal = replace(wanted, dialect=dialect.NAME, options=wanted.options.normal())
    signed = dialect.unsigned(dialect.write(normal))
    check_spelling(dialect.join(_LONGEST_SIGNATURE, signed.target, signed.query), "")
    try:
        meant = dialects.read(dialect, signed)
    except InvalidOption as error:
        message = f"cannot be written in a URL of {dialect.TITLE}: {error.message}"
        raise InvalidOption(error.option, message) from error
    if canonical(meant.options) != canonical(normal.options):
        raise _inexpressible(dialect, normal.options, meant.options)
    for option in ("source", "expires", "stored"):
        if getattr(meant, option) != getattr(normal, option):
            raise InvalidOption(option, f"cannot be written in a URL of {dialect.TITLE}")
    return signed


def _inexpressible(dialect: Dialect, wanted: Options, meant: Options) -> InvalidOption:
    """Name the words that a URL lacks, or those that it has too many."""
    asked, read = (canonical(each).split(",") for each in (wanted, meant))
    missing = [word for word in asked if word not in (*read, NOTHING)]
    added = [word for word in read if word not in (*asked, NOTHING)]
    if missing:
        what = f"cannot express {', '.join(missing)}"
    elif added:
        what = f"adds {', '.join(added)}"
    else:
        what = "has another order of operations"
    option = next(iter((*missing, *added)), "operations").partition("=")[0]
    message = f"a URL of {dialect.TITLE} {what}; it would mean {canonical(meant)}"
    return InvalidOption(option, message)
