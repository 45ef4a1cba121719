"""The registry as a fold of its topic: versions, aliases, what is not there, and what compaction leaves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.registry import actions
from agents.registry.actions import ActionRefused, By, Change
from agents.registry.view import AliasNotFound, ModelNotFound, NotFound, RegistryView, VersionNotFound
from schemas.message import Message
from schemas.models import ModelAlias, ModelVersion, alias_key, version_key
from tests.registry.making import alias as alias_message
from tests.registry.making import at, request_for
from tests.registry.making import version as version_message

BY = By("ada", at(9), "looks good")

Record = tuple[str, Message | None]


def version(name: str, model: str = "digits", **fields: Any) -> Record:
    return version_key(model, name), version_message(name, model, **fields)


def alias(name: str, to: str, model: str = "digits", **fields: Any) -> Record:
    return alias_key(model, name), alias_message(name, to, model, **fields)


def applied(view: RegistryView, changes: list[Change]) -> RegistryView:
    for change in changes:
        assert view.apply(change.key, change.message)
    return view


def test_the_latest_version_is_the_one_registered_last_promoted_or_not() -> None:
    view = RegistryView([version("9"), version("10"), alias("champion", "9")])
    assert view.latest("digits").version == "10"
    assert view.champion("digits").version == "9"
    assert [each.version for each in view.versions("digits")] == ["9", "10"]
    assert view.version("digits", "9") == version_message("9")


def test_what_is_not_there_is_an_error_of_its_own_that_says_what_is() -> None:
    view = RegistryView([version("1"), version("2")])
    with pytest.raises(ModelNotFound, match="no model 'fraud' is registered; models: digits"):
        view.latest("fraud")
    with pytest.raises(VersionNotFound, match="'digits' has no version '3'; versions: 1, 2"):
        view.version("digits", "3")
    with pytest.raises(AliasNotFound, match="'digits' has no alias 'champion'; aliases: none"):
        view.champion("digits")
    with pytest.raises(ModelNotFound):
        view.alias("fraud", "champion")
    view.apply(*alias("champion", "7"))
    with pytest.raises(VersionNotFound):
        view.champion("digits")
    assert issubclass(ModelNotFound, NotFound)
    assert issubclass(NotFound, LookupError)


@pytest.mark.parametrize("model", ["a/b", "a@b", "a/b@c/d", "@", "/"])
def test_a_name_may_hold_the_separators_of_keys(model: str) -> None:
    view = RegistryView([version("1", model), alias("champion", "1", model)])
    assert view.models() == [model]
    assert view.champion(model).version == "1"
    assert view.apply(alias_key(model, "champion"), None)
    assert view.aliases(model) == {}
    assert view.apply(version_key(model, "1"), None)
    assert view.models() == []


def test_a_record_under_a_foreign_key_is_left_out() -> None:
    view = RegistryView()
    assert not view.apply("digits", version_message("1"))
    assert not view.apply("digits/2", version_message("1"))
    assert not view.apply("digits@champion", alias_message("challenger", "1"))
    assert not view.apply("digits/1", request_for())
    assert not view.apply("digits", None)
    assert view.models() == []


NAMES = st.sampled_from(["a", "b/c"])
VERSIONS = st.sampled_from(["1", "2", "3"])
RECORDS: st.SearchStrategy[Record] = st.one_of(
    st.builds(lambda v, m, minute: version(v, m, minute=minute), VERSIONS, NAMES, st.integers(0, 5)),
    st.builds(lambda a, v, m: alias(a, v, m), st.sampled_from(["champion", "challenger", "retired"]), VERSIONS, NAMES),
    st.builds(lambda m, part: (m + part, None), NAMES, st.sampled_from(["/1", "/2", "@champion", "@challenger"])),
)


@given(st.lists(RECORDS, max_size=20))
def test_what_compaction_leaves_gives_the_same_view(records: list[Record]) -> None:
    kept = {key: index for index, (key, _) in enumerate(records)}
    compacted = [records[index] for index in sorted(kept.values())]
    whole, rest = RegistryView(records), RegistryView(compacted)
    assert whole.models() == rest.models()
    for name in whole.models():
        assert whole.aliases(name) == rest.aliases(name)
        assert whole.is_retired(name) == rest.is_retired(name)
        try:
            assert whole.versions(name) == rest.versions(name)
        except ModelNotFound:
            with pytest.raises(ModelNotFound):
                rest.versions(name)


def promoted(*versions: str) -> RegistryView:
    """A model whose versions were promoted one after the other."""
    view = RegistryView([version(each) for each in versions])
    for each in versions:
        applied(view, actions.promote(view, "digits", each, By("ada", at(int(each)))))
    return view


def test_promotion_by_hand_says_who_when_and_why() -> None:
    view = RegistryView([version("1"), version("2"), alias("champion", "1", previous=["0"])])
    (change,) = actions.promote(view, "digits", "2", BY)
    assert isinstance(change.message, ModelAlias)
    assert (change.key, change.model_name) == ("digits@champion", "digits")
    assert (change.message.actor, change.message.timestamp) == ("ada", at(9))
    assert change.message.reason == "promoted by hand by ada: looks good"
    assert (change.message.version, change.message.previous) == ("2", ["1", "0"])


def test_a_promotion_that_cannot_be_is_refused() -> None:
    view = promoted("1")
    with pytest.raises(ActionRefused, match="champion of 'digits' is version '1' already"):
        actions.promote(view, "digits", "1", BY)
    with pytest.raises(VersionNotFound):
        actions.promote(view, "digits", "2", BY)
    with pytest.raises(ActionRefused, match="set by retirement alone"):
        actions.promote(view, "digits", "1", BY, alias="retired")


def test_each_rollback_goes_one_champion_further_back() -> None:
    view = promoted("1", "2", "3")
    for expected in ("2", "1"):
        (change,) = applied_rollback = actions.rollback(view, "digits", BY)
        applied(view, applied_rollback)
        assert isinstance(change.message, ModelAlias)
        assert change.message.reason.startswith("rolled back from")
        assert view.champion("digits").version == expected
    with pytest.raises(ActionRefused, match="has been version '1' from the first: nothing to go back to"):
        actions.rollback(view, "digits", BY)


def test_a_rollback_skips_versions_that_are_gone() -> None:
    view = promoted("1", "2", "3")
    view.apply("digits/2", None)
    applied(view, actions.rollback(view, "digits", BY))
    assert view.champion("digits").version == "1"


def test_a_retired_model_has_its_versions_and_no_aliases() -> None:
    view = applied(promoted("1", "2"), [])
    view.apply(*alias("challenger", "1"))
    applied(view, actions.retire(view, "digits", BY))
    assert view.is_retired("digits")
    assert list(view.aliases("digits")) == ["retired"]
    assert view.alias("digits", "retired").version == "2"
    assert view.alias("digits", "retired").reason == "retired by ada: looks good"
    assert [each.version for each in view.versions("digits")] == ["1", "2"]
    assert actions.retire(view, "digits", BY) == []
    assert actions.retire(view, "never-registered", BY) == []


def test_a_retired_model_that_is_promoted_is_in_service_again_and_remembers() -> None:
    view = promoted("1", "2")
    applied(view, actions.retire(view, "digits", BY))
    applied(view, actions.promote(view, "digits", "2", BY))
    assert not view.is_retired("digits")
    assert view.champion("digits").version == "2"
    applied(view, actions.rollback(view, "digits", BY))
    assert view.champion("digits").version == "1"


def test_a_version_never_changes() -> None:
    view = RegistryView()
    change = actions.register(view, "digits", "1", ("file:///a", "0" * 64), BY)
    assert isinstance(change.message, ModelVersion)
    assert change.message.actor == "ada"
    applied(view, [change])
    assert actions.register(view, "digits", "1", ("file:///elsewhere", "0" * 64), BY).key == "digits/1"
    with pytest.raises(ActionRefused, match="a version never changes"):
        actions.register(view, "digits", "1", ("file:///a", "1" * 64), BY)


def test_actions_done_twice_have_the_same_id_and_others_do_not() -> None:
    view = promoted("1", "2", "3")
    ids = {
        change.message.event_id
        for by in (BY, BY, By("bob", at(9)), By("ada", at(10)))
        for name in ("1", "2")
        for change in actions.promote(view, "digits", name, by)
        if change.message is not None
    }
    assert len(ids) == 6
