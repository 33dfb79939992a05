"""From records to what goes over the wire; used by the API and by the pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.features.hooks import schemas
from app.features.hooks.lookup import FoundRepo, Resolved
from app.features.hooks.models import WebhookState
from app.features.hooks.records import DeliveryPage, GithubSettings, RepoPage, TargetRecord
from app.features.hooks.rules.secrets import masked
from app.features.hooks.service import Standing


def settings_out(
    settings: GithubSettings, targets: Iterable[TargetRecord], repos: RepoPage
) -> schemas.GithubSettingsOut:
    """What may be told of the settings (spec §3.7)."""
    return schemas.GithubSettingsOut(
        enabled=settings.enabled,
        callback_url=settings.callback_url,
        targets=[
            schemas.TargetOut(input=each.input, kind=each.kind, owner=each.owner, warnings=list(each.warnings))
            for each in targets
        ],
        repos_total=repos.total,
        repos_selected_total=repos.selected_total,
        pat_masked=masked(settings.pat),
        secret_masked=masked(settings.secret),
    )


def repos_out(found: RepoPage) -> schemas.RepoListOut:
    """A page of repositories."""
    return schemas.RepoListOut(
        page=found.page,
        per_page=found.per_page,
        total=found.total,
        filtered_total=found.filtered_total,
        selected_total=found.selected_total,
        repos=[schemas.RepoOut.of(repo) for repo in found.repos],
    )


def resolved_out(found: Resolved, repos: Sequence[FoundRepo]) -> schemas.ResolvedOut:
    """What an input stands for."""
    return schemas.ResolvedOut(
        kind=found.kind,
        owner=found.owner,
        repos=[
            schemas.ResolvedRepoOut(
                full_name=repo.full_name,
                selected=repo.selected,
                visibility=repo.visibility,
                last_activity_at=repo.last_activity_at,
                deployed=repo.deployed,
            )
            for repo in repos
        ],
        warnings=list(found.warnings),
    )


def overview_out(standing: Standing) -> schemas.OverviewOut:
    """How the webhooks stand."""
    counts = {state.value: standing.states.get(state, 0) for state in WebhookState}
    return schemas.OverviewOut(
        summary=schemas.StateCounts(tracked=sum(counts.values()), **counts),
        jobs_queued=standing.jobs_queued,
        jobs_running=standing.jobs_running,
        running_job_id=standing.running_job_id,
        last_audit_at=standing.last_audit_at,
    )


def deliveries_out(found: DeliveryPage) -> schemas.DeliveryListOut:
    """A page of deliveries."""
    return schemas.DeliveryListOut(
        page=found.page,
        per_page=found.per_page,
        total=found.total,
        filtered_total=found.filtered_total,
        summary=schemas.DecisionCounts(**found.decisions),
        deliveries=[schemas.DeliveryOut.of(each) for each in found.deliveries],
    )
