"""What it takes to hurt a running Safelight on purpose, and to tell whether it minded."""
