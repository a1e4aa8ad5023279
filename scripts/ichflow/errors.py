"""The one exception that is meant for people."""

from collections.abc import Generator
from contextlib import contextmanager


class IchflowError(Exception):
    """A mistake in data or configuration, told so that a person can mend it.

    Its message names the file or key, what was found, what was expected and what to do. Scripts print it without
    a traceback.
    """


@contextmanager
def told_of(what: str) -> Generator[None]:
    """Begin the message of such an error within this context with what it is about."""
    try:
        yield
    except IchflowError as error:
        raise IchflowError(f"{what}: {error}") from None
