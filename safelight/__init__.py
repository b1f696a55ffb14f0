"""The language that api, worker and operator's command share."""

__version__ = "0.1.0"
"""The release. This is its only place: the package, the programs and the documents read it or are
held to it by a test."""
