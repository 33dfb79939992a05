"""The application's templates without the application."""

from __future__ import annotations

from typing import Any

from jinja2_fragments import render_block

from tests.unit.web.pages.cases import environment


class Templates:
    """Stands for `Pages`."""

    def __init__(self) -> None:
        self._environment = environment()

    def block(self, template: str, block: str, **context: Any) -> str:
        """One block of a template."""
        return render_block(self._environment, template, block, **context)

    def render(self, template: str, **context: Any) -> str:
        """A whole template."""
        return self._environment.get_template(template).render(**context)
