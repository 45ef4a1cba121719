"""A budget of requests per hour over all models."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.retrain.budget import ALL_MODELS, spend
from schemas.alerts import Alert
from tests.retrain.findings import Policy, at, drift, of_type, order

HOUR = 3_600_000_000


def test_no_more_requests_are_released_within_an_hour_than_the_budget_allows() -> None:
    policy = Policy(budget=3)
    policy.feed(*(drift(number, model=f"model-{number}") for number in range(10)))
    assert [request.model_name for request in policy.requests] == ["model-0", "model-1", "model-2"]
    assert policy.alerts == [("retrain_budget_exceeded", "warning", "firing")] * 7
    assert [alert.model_name for alert in of_type(Alert, policy.outputs)] == [f"model-{n}" for n in range(3, 10)]
    assert policy.state(ALL_MODELS).refused == 7


def test_an_hour_after_a_release_there_is_room_again() -> None:
    policy = Policy(budget=2)
    policy.feed(*(drift(minute, model=f"model-{minute}") for minute in (0, 30, 59, 60, 61, 90)))
    assert [request.timestamp for request in policy.requests] == [at(0), at(30), at(60), at(90)]


def test_a_released_request_is_the_same_as_without_a_budget() -> None:
    free, bounded = Policy(), Policy(budget=5)
    assert free.feed(drift()) == bounded.feed(drift())


def test_without_a_budget_nothing_goes_through_the_internal_topic() -> None:
    policy = Policy()
    policy.feed(drift())
    assert list(policy.data) == ["fraud"]


def test_pausing_all_models_holds_what_waits_for_the_budget() -> None:
    policy = Policy(budget=5)
    policy.feed(order("pause", 0, model=ALL_MODELS), drift(1), order("resume", 2, model=ALL_MODELS), drift(40))
    assert [request.timestamp for request in policy.requests] == [at(40)]


def test_a_model_that_has_the_name_of_the_budgets_key_is_retrained_like_others() -> None:
    policy = Policy(budget=1)
    policy.feed(drift(0, model=ALL_MODELS), drift(1, model="fraud"))
    assert [request.model_name for request in policy.requests] == [ALL_MODELS]
    assert [kind for kind, _, _ in policy.alerts] == ["retrain_budget_exceeded"]


def test_one_wrong_clock_far_in_the_future_blocks_nothing_and_switches_nothing_off() -> None:
    releases: list[int] = []
    assert spend(releases, 2, 10**6 * HOUR)
    assert [spend(releases, 2, minute) for minute in range(4)] == [True, True, False, False]


@given(st.integers(1, 5), st.lists(st.integers(0, 4 * HOUR)))
def test_in_order_no_hour_holds_more_releases_than_the_budget(budget: int, times: list[int]) -> None:
    releases: list[int] = []
    released = [time for time in sorted(times) if spend(releases, budget, time)]
    for time in released:
        assert sum(time - HOUR < other <= time for other in released) <= budget
    assert len(releases) <= budget
    assert len(released) >= min(budget, len(times))
