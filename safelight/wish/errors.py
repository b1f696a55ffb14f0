"""Why a wish cannot be carried out."""


class InvalidOption(Exception):
    """An option that is not understood, is refused for a reason, or is out of its bounds."""

    def __init__(self, option: str, message: str) -> None:
        super().__init__(f"{option}: {message}")
        self.option = option
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Cross a process boundary whole."""
        return type(self), (self.option, self.message)
