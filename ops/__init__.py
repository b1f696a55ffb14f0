"""The operator's side: the command `safelight`."""
