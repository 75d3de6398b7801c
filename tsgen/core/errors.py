"""Errors that carry the option they are about, so that a command line can use its own names."""

from typing import Any


class OptionError(ValueError):
    """An option that does not exist, or a value that it cannot have.

    Args:
        owner: name of the class or function that has the option; may be empty.
        option: the option's name.
        value: what was given.
        expected: what was expected, in words that follow "must be".
        advice: what to do, a sentence without its full stop; may be empty.
    """

    def __init__(
        self, owner: str, option: str, value: Any, expected: str, advice: str = ""
    ) -> None:
        super().__init__(owner, option, value, expected, advice)
        self.owner, self.option, self.value = owner, option, value
        self.expected, self.advice = expected, advice

    @property
    def reason(self) -> str:
        """The message after owner, option and value."""
        return f"must be {self.expected}" + (f"; {self.advice}" if self.advice else "")

    def __str__(self) -> str:
        owner = f"{self.owner}: " if self.owner else ""
        return f"{owner}{self.option}={self.value!r} {self.reason}"


class UnknownOptionError(OptionError):
    """An option that its owner does not have.

    ``expected`` names the options there are.
    """

    @property
    def reason(self) -> str:
        """The message after owner, option and value."""
        return f"is no option of {self.owner or 'it'}; {self.advice or self.expected}"

    def __str__(self) -> str:
        return (
            f"{self.owner} has no option {self.option!r} (given {self.value!r}); "
            f"{self.advice or self.expected}"
        )


class MissingOptionError(OptionError):
    """An option without a default that was not given."""

    @property
    def reason(self) -> str:
        """The message after owner and option."""
        return f"must be given: {self.expected}"

    def __str__(self) -> str:
        return f"{self.owner}: {self.option} {self.reason}"
