"""Runs the whole system on this machine: embedded AWS, stack, api and workers as processes."""
