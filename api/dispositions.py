"""Content-Disposition: whether to show or to save a file, and its name."""

import re
from typing import Literal
from urllib.parse import quote

_UNSAFE = re.compile(r"""[^ -~]|["\\%/;]""")
"""Characters of a file name that clients take for something else, or that are not ASCII."""


def disposition(kind: Literal["attachment", "inline"], file: str) -> str:
    """Return the header's value. Nothing in a file name can end it or add to it."""
    plain = _UNSAFE.sub("_", file)
    # RFC 6266, 5 and appendix D: old clients read `filename`.
    also = f"; filename*=UTF-8''{quote(file, safe='')}" if plain != file else ""
    return f'{kind}; filename="{plain}"{also}'
