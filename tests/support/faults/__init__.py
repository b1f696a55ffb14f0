"""Causes faults in a running Safelight, and checks that nothing is lost."""
