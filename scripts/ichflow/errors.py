"""The one exception that is meant for people."""


class IchflowError(Exception):
    """A mistake in data or configuration, told so that a person can mend it.

    Its message names the file or key, what was found, what was expected and what to do. Scripts print it without
    a traceback.
    """
