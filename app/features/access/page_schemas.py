"""What the pages `/settings/tokens` and `/settings/audit` show; as JSON they are as free of secrets as the API."""

from __future__ import annotations

from app.core.web.schema import ApiModel, Maybe
from app.features.access.schemas import AuditEventOut, TokenOut
from app.features.preferences import SectionLink


class TokenProblem(ApiModel):
    """Why no token was made, and which field it is about."""

    field: str
    message: str
    hint: str = ""


class TokensPage(ApiModel):
    """The page of tokens. `entered` is what was typed when it was refused."""

    tokens: list[TokenOut]
    sections: list[SectionLink]
    problem: Maybe[TokenProblem] = None
    entered: Maybe[dict[str, str]] = None

    @property
    def active(self) -> list[TokenOut]:
        """Those that open something."""
        return [token for token in self.tokens if token.state == "active"]

    def typed(self, name: str, default: str) -> str:
        """What a field shows."""
        return (self.entered or {}).get(name, default)


class TokenMadePage(ApiModel):
    """The answer to the form: the only page that shows a token."""

    token: TokenOut
    value: str
    sections: list[SectionLink]


class TokenRevokePage(ApiModel):
    """The question before a token is revoked."""

    token: TokenOut
    sections: list[SectionLink]


class AuditQuery(ApiModel):
    """The filters as they were typed."""

    principal: str = ""
    action: str = ""
    means: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""

    @property
    def filtered(self) -> bool:
        """Whether something is filtered."""
        return any(vars(self).values())


class AuditPage(ApiModel):
    """The page of the audit trail."""

    events: list[AuditEventOut]
    query: AuditQuery
    actions: list[str]
    means: list[str]
    retention_days: int
    max_rows: int
    sections: list[SectionLink]
    next_cursor: Maybe[str] = None
    cursor: str = ""
