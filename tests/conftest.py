"""Fixtures that every kind of test may ask for."""

import hypothesis

pytest_plugins = ["tests.support.emulator"]

# Nothing is timed in a test: how long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("house", deadline=None)
hypothesis.settings.load_profile("house")
