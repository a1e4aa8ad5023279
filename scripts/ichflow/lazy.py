"""Libraries that take seconds to import, imported where a test needs them and no earlier."""

from typing import Any


def pingouin() -> Any:
    """Return pingouin, told not to round intervals to two decimals."""
    import pingouin as library

    library.options["round.column.CI95"] = None
    return library
