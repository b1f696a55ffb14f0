"""Says in a user's words why a picture was rejected, and what the user can do.

docs/guide/formats.md explains each reason. `detail` of the completion is for developers.
"""

from collections.abc import Mapping
from typing import Any

ANOTHER = "Please choose another picture."
AGAIN = "Please save the picture again in another program, and choose the new file."
LATER = "The picture cannot be uploaded now. Please try again later."
SMALLER = "Please make the picture smaller, and choose it again."
TEXTS: Mapping[str, tuple[str, str]] = {
    "empty": ("The file is empty.", "Please choose the picture again."),
    "unsupported": (
        "This kind of file cannot be shown here.",
        "Please choose a photo, such as a JPEG, PNG, WebP, HEIC or AVIF.",
    ),
    "truncated": (
        "The end of the picture is missing.",
        "Please copy it from the camera or the phone again, and choose the new file.",
    ),
    "corrupt": ("The picture is damaged.", AGAIN),
    "too_many_bytes": ("The file is too large.", SMALLER),
    "too_many_pixels": ("The picture is too large.", SMALLER),
    "too_many_frames": ("The animation is too long.", "Please shorten it, or choose a photo."),
    "timeout": ("The picture takes too long to process.", SMALLER),
    "out_of_memory": ("The picture is too complex.", SMALLER),
    "decoder_crash": ("The picture cannot be read.", AGAIN),
    "source_gone": ("The picture was deleted before it was processed.", "Please upload it again."),
}


def explain(reason: str | None) -> tuple[str, str]:
    """Return what to say, and what the user can do. Later versions may have more reasons."""
    return TEXTS.get(reason or "", ("The picture cannot be shown.", ANOTHER))


def explain_refusal(problem: Mapping[str, Any]) -> str:
    """Return what to say of a problem that Safelight gave instead of an upload URL."""
    pointers = {fault["pointer"] for fault in problem.get("errors", ())}
    if "#/contentType" in pointers:
        return " ".join(TEXTS["unsupported"])
    if "#/size" in pointers:
        return " ".join(TEXTS["too_many_bytes"])
    return LATER
