"""Write the lists of differences in docs/guide/moving; the rest is written by hand."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from api.dialects.aws_handler_edits import EDITS
from api.dialects.aws_handler_paths import FILTERS as AWS_FILTERS
from api.dialects.imagor_filters import IMAGOR_FILTERS
from api.dialects.imgix_options import OPTIONS as IMGIX_OPTIONS
from api.dialects.imgproxy_options import OPTIONS as IMGPROXY_OPTIONS
from api.dialects.rows import Rows
from api.dialects.thumbor import SMART_DIFFERS
from api.dialects.thumbor_filters import FILTERS as THUMBOR_FILTERS

FOLDER = Path(__file__).parents[1] / "docs" / "guide" / "moving"
TABLES: Mapping[str, tuple[Rows[Any], ...]] = MappingProxyType(
    {
        "aws": (EDITS, AWS_FILTERS),
        "imagor": (IMAGOR_FILTERS,),
        "imgix": (IMGIX_OPTIONS,),
        "imgproxy": (IMGPROXY_OPTIONS,),
        "thumbor": (THUMBOR_FILTERS,),
    }
)
"""Page -> the options of that system."""
_PARTS: Mapping[str, Mapping[str, str]] = MappingProxyType({"thumbor": {"smart": SMART_DIFFERS}})
"""Page -> parts of the path that differ, beside the options."""
_HEADING, _NEXT = "\n## What differs\n", "\n## "


def moving_page(name: str) -> str:
    """Return a page with the current list of the options that differ."""
    before, _, rest = (FOLDER / f"{name}.md").read_text().partition(_HEADING)
    after = rest.partition(_NEXT)[2]
    rows = (each for table in TABLES[name] for each in table.rows.items())
    differ = {option: row.differs for option, row in rows if row.differs}
    listed = {**_PARTS.get(name, {}), **differ}
    text = (
        "".join(f"- `{option}`: {how}\n" for option, how in listed.items())
        or "No option that is understood.\n"
    )
    return f"{before}{_HEADING}\n{text}{_NEXT}{after}"
