"""The error for wishes that cannot be fulfilled."""


class InvalidOption(Exception):
    """An option is unknown, refused or out of bounds. The message says which and why."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")
        self.option = option
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Pickle both parts, to cross a process boundary."""
        return type(self), (self.option, self.message)
