"""The vocabulary that the API, the worker and the operators' command share."""

__version__ = "0.1.0"
"""The version, declared here only. Package and programs read it; a test compares the documents."""
