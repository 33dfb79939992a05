"""Which files make a project, which names may be used, what changed (spec §7.1)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.features.stacks import rules
from app.features.stacks.records import ServiceRecord, StackRecord
from app.features.stacks.rules import FileChoice, FileKind, Problem, ServiceSpec, StackSpec

NOW = datetime(2026, 5, 1, tzinfo=UTC)
BASE, EXTRA, MORE = "/srv/demo/compose.yml", "/srv/demo/override.yml", "/srv/demo/more.yml"
GENERATED = "/tmp/dockrev-override-abc.yml"


@pytest.mark.parametrize(
    ("label", "files"),
    [
        ("", ()),
        (" , \n ,", ()),
        ("/a.yml", ("/a.yml",)),
        ("/a.yml,/b.yml", ("/a.yml", "/b.yml")),
        (" /a.yml \n/b.yml , /a.yml", ("/a.yml", "/b.yml")),
        ("/b.yml,/a.yml", ("/b.yml", "/a.yml")),
    ],
)
def test_the_label_is_split_trimmed_and_kept_in_order(label: str, files: tuple[str, ...]) -> None:
    assert rules.split_config_files(label) == files


@given(st.lists(st.text(st.characters(blacklist_characters=",\n"), max_size=20), max_size=8))
def test_splitting_gives_back_what_was_joined(parts: list[str]) -> None:
    wanted = tuple(dict.fromkeys(part.strip() for part in parts if part.strip()))
    assert rules.split_config_files(",".join(parts)) == wanted


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "config_files_missing"),
        ([""], "config_files_empty"),
        ([" , "], "config_files_empty"),
        (["compose.yml"], "config_files_relative_path_rejected"),
        (["/a.yml,../b.yml"], "config_files_relative_path_rejected"),
        (["/" + "x" * 5000], "config_files_invalid"),
        ([",".join(f"/{n}.yml" for n in range(100))], "config_files_invalid"),
    ],
)
def test_unusable_labels_have_a_stable_reason_and_a_remedy(labels: list[str], reason: str) -> None:
    _, problem = rules.check_lists(labels)
    assert problem is not None
    assert problem.reason == reason
    assert len(problem.hint) > 20


def test_lists_are_distinct_longest_first_and_empty_ones_do_not_count() -> None:
    lists, problem = rules.check_lists([BASE, f"{BASE},{EXTRA}", BASE, ""])
    assert problem is None
    assert lists == ((BASE, EXTRA), (BASE,))


def choose(
    lists: list[tuple[str, ...]], kinds: dict[str, FileKind] | None = None, generated: set[str] | None = None
) -> FileChoice | Problem:
    return rules.choose_files(lists, kinds or {}, generated or set())


def test_one_list_is_taken_as_it_is() -> None:
    assert choose([(BASE, EXTRA)]) == FileChoice((BASE, EXTRA))


def test_image_only_extras_make_the_longest_list_win() -> None:
    kinds = {EXTRA: FileKind.IMAGE_ONLY, MORE: FileKind.IMAGE_ONLY}
    chosen = choose([(BASE, EXTRA, MORE), (BASE,), (BASE, MORE)], kinds)
    assert chosen == FileChoice((BASE, EXTRA, MORE))


@pytest.mark.parametrize("kind", [FileKind.OTHER, FileKind.UNREADABLE])
def test_other_extras_are_a_conflict_that_shows_the_lists(kind: FileKind) -> None:
    chosen = choose([(BASE, EXTRA), (BASE,)], {EXTRA: kind})
    assert isinstance(chosen, Problem)
    assert chosen.reason == "config_files_conflict"
    assert chosen.details["lists"] == [[BASE, EXTRA], [BASE]]
    assert (EXTRA in chosen.hint) == (kind is FileKind.UNREADABLE)


def test_lists_that_do_not_contain_each_other_are_a_conflict() -> None:
    kinds = {BASE: FileKind.IMAGE_ONLY, EXTRA: FileKind.IMAGE_ONLY}
    assert isinstance(choose([(BASE,), (EXTRA,)], kinds), Problem)
    assert isinstance(choose([(BASE, EXTRA), (EXTRA, BASE)], kinds), Problem)


def test_generated_overrides_never_count_readable_or_not() -> None:
    wanted = FileChoice((BASE,), (GENERATED,))
    assert choose([(BASE, GENERATED)], {}, {GENERATED}) == wanted
    assert choose([(BASE, GENERATED), (BASE,)], {GENERATED: FileKind.UNREADABLE}, {GENERATED}) == wanted
    assert choose([(BASE, GENERATED), (BASE,)], {GENERATED: FileKind.IMAGE_ONLY}, {GENERATED}) == wanted


def test_only_generated_files_are_no_project() -> None:
    chosen = choose([(GENERATED,)], {}, {GENERATED})
    assert isinstance(chosen, Problem)
    assert chosen.reason == "config_files_empty"


PATHS = st.sampled_from([f"/srv/{n}.yml" for n in range(6)])
LISTS = st.lists(st.lists(PATHS, min_size=1, max_size=5, unique=True).map(tuple), min_size=1, max_size=4, unique=True)


@given(LISTS, st.dictionaries(PATHS, st.sampled_from(FileKind)), st.sets(PATHS, max_size=2))
def test_a_choice_is_always_one_of_the_lists_and_holds_all_others(
    lists: list[tuple[str, ...]], kinds: dict[str, FileKind], generated: set[str]
) -> None:
    chosen = rules.choose_files(lists, kinds, generated)
    kept = [tuple(path for path in files if path not in generated) for files in lists]
    if isinstance(chosen, Problem):
        assert chosen.reason in ("config_files_conflict", "config_files_empty")
        return
    assert chosen.files in kept
    assert all(rules.is_subsequence(files, chosen.files) for files in kept)
    assert not generated & set(chosen.files)
    shared = set(chosen.files).intersection(*(files for files in kept if files))
    assert all(kinds[path] is FileKind.IMAGE_ONLY for path in chosen.files if path not in shared)


@given(st.lists(st.integers(0, 5), max_size=8), st.data())
def test_leaving_entries_out_makes_a_subsequence(whole: list[int], data: st.DataObject) -> None:
    texts = [str(n) for n in whole]
    keep = data.draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    assert rules.is_subsequence([t for t, kept in zip(texts, keep, strict=True) if kept], texts)


@pytest.mark.parametrize(
    ("ref", "tag"),
    [
        ("nginx", "latest"),
        ("nginx:1.27", "1.27"),
        ("ghcr.io/acme/web", "latest"),
        ("ghcr.io/acme/web:v2", "v2"),
        ("127.0.0.1:5000/app", "latest"),
        ("127.0.0.1:5000/app:1.2.3-alpine", "1.2.3-alpine"),
        ("nginx@sha256:" + "0" * 64, "latest"),
        ("nginx:1.27@sha256:" + "0" * 64, "latest"),
        ("nginx:", "latest"),
        (":1", "latest"),
        ("", "latest"),
    ],
)
def test_the_tag_is_what_was_written(ref: str, tag: str) -> None:
    assert rules.image_tag(ref) == tag


@pytest.mark.parametrize("name", ["demo", "my-app_2", "Home.Assistant", "_x", "0"])
def test_names_compose_gives_are_fine(name: str) -> None:
    assert rules.valid_project_name(name)
    assert rules.valid_service_name(name) == (name != "-")


@pytest.mark.parametrize(
    "name", ["", "-rf", "../etc", "a/b", "a b", "a\n", "\x1b[31mred", "<script>", "x" * 200, ".hidden", "a;b", "é"]
)
def test_hostile_project_names_are_refused(name: str) -> None:
    assert not rules.valid_project_name(name)


@given(st.text(max_size=300))
def test_what_is_shown_can_be_kept_printed_and_addressed(text: str) -> None:
    safe = rules.shown(text)
    assert len(safe) <= rules.MAX_NAME
    assert "/" not in safe
    assert safe.isprintable()


def service(name: str, ref: str = "nginx:1", **more: object) -> ServiceRecord:
    return ServiceRecord(
        id=f"svc_{name}", stack_id="stk_1", stack_name="demo", project="demo", name=name, image_ref=ref,
        image_tag=rules.image_tag(ref), created_at=NOW, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def stack(*services: ServiceRecord) -> StackRecord:
    return StackRecord(
        id="stk_1", name="demo", project="demo", compose_files=(BASE,), created_at=NOW, updated_at=NOW,
        services=services,
    )  # fmt: skip


def spec(name: str, ref: str = "nginx:1", **more: object) -> ServiceSpec:
    return ServiceSpec(name, ref, rules.image_tag(ref), **more)  # type: ignore[arg-type]


def wanted(*services: ServiceSpec, files: tuple[str, ...] = (BASE,), env_file: str | None = None) -> StackSpec:
    return StackSpec(files, env_file, None, services)


def test_the_same_files_and_services_are_no_difference() -> None:
    assert rules.difference(stack(service("web")), wanted(spec("web"))).nothing


def test_a_changed_image_is_told_apart_from_other_changes() -> None:
    diff = rules.difference(
        stack(service("web"), service("db"), service("old")),
        wanted(spec("web", "nginx:2"), spec("db", network_mode="host", depends_on=("web",)), spec("new")),
    )
    assert diff.new_images == {"svc_web"}
    assert [service_id for service_id, _ in diff.changed] == ["svc_db", "svc_web"]
    assert [added.name for added in diff.added] == ["new"]
    assert diff.removed == ("svc_old",)
    assert not diff.files
    assert diff.words == "1 added, 1 with another image, 1 changed, 1 removed"


def test_other_files_or_another_env_file_are_a_difference() -> None:
    assert rules.difference(stack(service("web")), wanted(spec("web"), files=(BASE, EXTRA))).files
    assert rules.difference(stack(service("web")), wanted(spec("web"), env_file="/srv/demo/.env")).files


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


@given(NAMES, NAMES)
def test_a_difference_leads_exactly_from_one_to_the_other(before: list[str], after: list[str]) -> None:
    diff = rules.difference(stack(*map(service, before)), wanted(*map(spec, after)))
    left = (set(before) - {service_id.removeprefix("svc_") for service_id in diff.removed}) | {
        added.name for added in diff.added
    }
    assert left == set(after)
    assert not diff.changed
