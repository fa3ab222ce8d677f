"""Engines by name, and their options checked by kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import tests.shots.engines  # noqa: F401  (registers the engines that tests render with)
from platelight.errors import RecipeError
from platelight_server.engines import registry
from platelight_server.engines.interface import Capabilities, Option
from tests.shots.engines import StillEngine

OPTIONS = (
    Option("amount", "float", 0.5, "how much", minimum=0.0, maximum=2.0, unit="stops"),
    Option("count", "int", 1, "how many", minimum=1),
    Option("wide", "bool", True, "or not"),
    Option("how", "choice", "soft", "which way", choices=("soft", "hard")),
    Option("words", "text", "", "what to say"),
    Option("card", "floats", (), "numbers", minimum=0.0),
    Option("free", "float", None, "a number or nothing"),
)
SOME = Capabilities("some", "an engine of every kind of option", ("keep",), 64, 1, options=OPTIONS)


@pytest.fixture
def registered() -> Iterator[str]:
    registry.register("test_registered", "tests.shots.engines", "StillEngine")
    yield "test_registered"
    registry._WHERE.pop("test_registered")


def test_options_that_are_not_given_are_the_defaults() -> None:
    assert registry.checked_options(SOME, {}) == {option.name: option.default for option in OPTIONS}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount", 2), ("amount", 0.0), ("count", 9), ("wide", False), ("how", "hard"), ("words", "any"),
        ("card", [1001, 0.5]), ("card", ()), ("free", -3.5), ("free", None),
    ],
)  # fmt: skip
def test_value_of_its_kind_is_taken_as_it_is(name: str, value: Any) -> None:
    assert registry.checked_options(SOME, {name: value})[name] == value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("amount", "much", "engine.options.amount: expected float, got 'much'"),
        ("amount", True, "engine.options.amount: expected float, got True"),
        ("amount", 2.5, "engine.options.amount: expected 0.0 to 2.0 stops, got 2.5"),
        ("amount", float("nan"), "engine.options.amount: expected 0.0 to 2.0 stops, got nan"),
        ("count", 1.5, "engine.options.count: expected int, got 1.5"),
        ("count", 1.0, "engine.options.count: expected int, got 1.0"),
        ("count", True, "engine.options.count: expected int, got True"),
        ("count", 0, "engine.options.count: expected 1 to inf, got 0"),
        ("wide", 1, "engine.options.wide: expected bool, got 1"),
        ("wide", "true", "engine.options.wide: expected bool, got 'true'"),
        ("how", "harsh", "engine.options.how: expected one of soft, hard, got 'harsh'"),
        ("how", 1, "engine.options.how: expected choice, got 1"),
        ("words", 3, "engine.options.words: expected text, got 3"),
        ("card", 0.5, "engine.options.card: expected floats, got 0.5"),
        ("card", [0.5, "x"], "engine.options.card: expected a list of numbers, got [0.5, 'x']"),
        ("card", [True], "engine.options.card: expected a list of numbers, got [True]"),
        ("card", [0.5, -1], "engine.options.card: expected 0.0 to inf, got -1"),
        ("speed", 1, "engine.options.speed: expected an option of some (amount, count, wide, how, words, card, free)"),
    ],
)
def test_value_of_another_kind_is_refused_by_key(name: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError) as refused:
        registry.checked_options(SOME, {name: value})
    assert str(refused.value).startswith(message)


def test_engine_without_options_says_none() -> None:
    with pytest.raises(RecipeError, match=r"an option of test_still \(none\)"):
        registry.checked_options(StillEngine.capabilities, {"speed": 1})


def test_registered_engine_can_be_chosen(registered: str) -> None:
    assert registered in registry.engine_names()
    assert type(registry.create(registered, {})) is StillEngine
    assert registry.create(registered, {}).options == {}


def test_unknown_engine_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(RecipeError, match="engine.name: expected one of classic, .*, got 'clasic'"):
        registry.engine_class("clasic")


def test_classic_engine_is_the_first() -> None:
    assert registry.engine_names()[0] == "classic"


def test_options_reach_the_engine_complete() -> None:
    made = registry.create("test_wavy", {"sleep_seconds": 0.25})
    assert made.options == {"sleep_seconds": 0.25, "break_at": -1}
