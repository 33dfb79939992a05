"""The API described: the OpenAPI document, and its pages for people."""

from app.openapi.document import complete, openapi_config
from app.openapi.pages import HANDLERS

__all__ = ["HANDLERS", "complete", "openapi_config"]
