"""Writes the receipt of an erased image for a terminal."""

from safelight.erasures import Receipt
from safelight.record import Record


def receipt_facts(record: Record) -> dict[str, str]:
    """Return the facts of a receipt by their names; none if the image is not erased."""
    if record.erasure is None:
        return {}
    document = Receipt.of(record).to_document()
    del document["imageId"]
    return {f"receipt: {name}": _words(fact) for name, fact in document.items()}


def _words(fact: object) -> str:
    match fact:
        case dict():
            return ", ".join(f"{name} {value}" for name, value in fact.items())
        case list():
            return "; ".join(map(str, fact))
    return str(fact)
