"""The language that api, worker and operator's command share."""

__version__ = "0.1.0"
