"""The versions of a service over the API."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath

from app.core.web.openapi import UNAUTHORISED, ErrorOut
from app.features.versions.newer.listing import NotYet, VersionLists
from app.features.versions.newer.schemas import VersionsOut, VersionsPending


@get(
    "/api/services/{service_id:str}/versions",
    operation_id="getServiceVersions",
    summary="Newer versions of a service, across tags",
    tags=["versions"],
    responses={
        **UNAUTHORISED,
        200: ResponseSpec(VersionsOut, description="what is cached, however old"),
        202: ResponseSpec(VersionsPending, description="nothing cached yet; ask again"),
        400: ResponseSpec(ErrorOut, description="the service's image is no reference"),
        404: ResponseSpec(ErrorOut, description="service not found"),
    },
)
async def service_versions(
    version_lists: NamedDependency[VersionLists], service_id: FromPath[str]
) -> Response[VersionsOut | VersionsPending]:
    """It informs only: `POST /api/updates` never leaves the followed tag. No registry is asked while the client waits;
    what is missing or old is looked up in the background."""
    found = await version_lists.of(service_id)
    if isinstance(found, NotYet):
        return Response(VersionsPending.of(found), status_code=202, media_type="application/json")
    return Response(VersionsOut.of(found), status_code=200, media_type="application/json")


HANDLERS = (service_versions,)
