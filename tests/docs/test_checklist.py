"""The conformance checklist of the spec (§13): for each of its lines the tests that hold it, which must exist."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SUPERVISOR: Final = (32, 33, 34, 35)
CHECKLIST: Final[dict[int, str]] = {
    1: "web/test_contract.py::test_the_empty_application",
    2: "web/test_contract.py::test_every_forward_auth_route_refuses_a_stranger web/test_fifty_two.py::"
       "test_strangers_get_401_and_its_reason",
    3: "core/test_web.py::test_forward_auth",
    4: "core/test_web.py::test_forward_auth",
    5: "web/test_contract.py::test_unknown_addresses_and_methods",
    6: "web/test_contract.py::test_the_empty_application web/test_stacks_api.py::test_stacks_cannot_be_registered_by_"
       "hand web/test_stacks_api.py::test_every_route_asks_who_is_there_first",
    7: "web/test_contract.py::test_unknown_things_are_404_in_the_envelope",
    8: "web/test_stack_shapes.py::test_archiving_hides_and_restoring_shows",
    9: "web/test_versions_api.py::test_digests_that_are_missing_or_foreign web/test_versions_api.py::"
       "test_a_snapshot_from_nothing_to_cached web/test_versions_api.py::test_a_forced_refresh_hides_it "
       "web/test_versions_api.py::test_a_stale_snapshot_is_shown_and_refreshed",
    10: "web/test_versions_api.py::test_digests_that_are_missing_or_foreign web/test_versions_api.py::"
        "test_a_forced_refresh_hides_it",
    11: "web/test_versions_api.py::test_a_check_is_a_job_of_the_caller web/test_versions_api.py::"
        "test_a_second_one_is_409",
    12: "web/test_versions_api.py::test_scopes_want_their_ids",
    13: "web/test_contract.py::test_unknown_things_are_404_in_the_envelope",
    14: "web/test_contract.py::test_without_an_engine_jobs_say_so web/test_server.py::"
        "test_streams_open_at_once_and_end_in_time",
    15: "web/test_updates_api.py::test_what_is_wrong_is_refused_and_named",
    16: "web/test_updates_api.py::test_a_batch_must_cover_exactly_what_is_offered",
    17: "web/test_updates_api.py::test_what_is_wrong_is_refused_and_named",
    18: "web/test_updates_api.py::test_another_architecture_needs_a_yes",
    19: "web/test_updates_api.py::test_what_runs_blocks_what_touches_it",
    20: "lab/test_updates.py::test_a_version_that_never_gets_healthy_is_taken_back_with_evidence",
    21: "lab/test_backups.py::test_a_failing_backup_stops_the_update_before_anything_is_touched",
    22: "lab/test_updates.py::test_conflicts_stale_targets_and_dry_runs",
    23: "core/test_jobs.py::test_restart_fails_open_jobs_and_keeps_what_they_told lab/test_crash.py::"
        "test_a_killed_update_is_put_right",
    24: "web/test_hooks_deliveries.py::test_a_trigger_without_the_secret_learns_nothing web/test_hooks_deliveries.py::"
        "test_a_triggered_update_is_checked_as_any_other",
    25: "web/test_hooks_deliveries.py::test_1_without_an_id web/test_hooks_deliveries.py::test_2_another_event_before_"
        "the_signature web/test_hooks_deliveries.py::test_4_a_wrong_signature web/test_hooks_deliveries.py::"
        "test_10_a_check_for_exactly_the_services_that_use_the_image web/test_hooks_deliveries.py::"
        "test_9_a_repetition web/test_hooks_deliveries.py::test_10_no_service_leads_to_one_discovery",
    26: "web/test_notifications_api.py::test_secrets_are_masked_and_the_rest_is_not",
    27: "web/test_notifications_api.py::test_what_keeps_a_secret",
    28: "web/test_notifications_api.py::test_every_channel_is_tested_while_it_is_off",
    29: "unit/notifications/test_new_versions.py::test_one_message_per_check_and_each_digest_once",
    30: "web/test_deploy_check_api.py::test_the_bypass_lets_in_but_does_not_pass",
    31: "web/test_settings_api.py::test_the_welcome_flag_round_trips",
    36: "web/test_deploy_check_api.py::test_the_bypass_lets_in_but_does_not_pass",
    37: "web/test_settings_api.py::test_a_wrong_cron_counts_only_while_it_is_on",
    38: "web/test_settings_api.py::test_everything_round_trips_in_its_canonical_form",
    39: "web/test_hooks_api.py::test_pages_filters_and_search web/test_contract.py::"
        "test_bad_queries_name_their_field",
}  # fmt: skip
"""Lines of the supervisor have their tests beside it, in `web/test_supervisor.py` and `unit/supervisor`."""


@cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests of a file below `tests/`."""
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return frozenset(function.name for function in functions if function.name.startswith("test_"))


@pytest.mark.parametrize("line", CHECKLIST)
def test_each_line_has_its_test(line: int) -> None:
    for name in CHECKLIST[line].split():
        path, _, test = name.partition("::")
        assert test in names_in(path), f"line {line}: {name}"


def test_no_line_is_left_out() -> None:
    assert sorted((*CHECKLIST, *SUPERVISOR)) == list(range(1, 40))
