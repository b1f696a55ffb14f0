"""The operator's side: the command `safelight`."""

KEY_VARIABLE = "SAFELIGHT_API_KEY"
"""The variable that holds a client's API key."""
