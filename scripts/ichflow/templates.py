"""Pages from templates: every value is escaped, and a name that a page lacks is an error."""

from pathlib import Path
from typing import Any

import jinja2

from ichflow.errors import IchflowError


def filled(template: str | Path, page: Any) -> str:
    """Fill a Jinja2 template of HTML with ``page``.

    Raises
    ------
    IchflowError
        The template, or one that it includes, is missing, or asks for what the page lacks.
    """
    template = Path(template)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    try:
        return environment.get_template(template.name).render(page=page)
    except jinja2.TemplateNotFound as error:
        raise IchflowError(f"{template}: template not found ({error}); expected a page's template there") from error
    except jinja2.TemplateError as error:
        raise IchflowError(f"{template}: {error}; mend the template, or give the page what it asks for") from error
