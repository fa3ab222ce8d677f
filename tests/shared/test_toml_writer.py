"""TOML out, read back by the standard library."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from platelight.toml_writer import toml_text

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(texts, values, max_size=5), texts)
def test_document_reads_back_as_it_was(document: dict[str, Any], comment: str) -> None:
    comments = dict.fromkeys(document, comment)
    assert tomllib.loads(toml_text(document, comments)) == document


def test_float_stays_a_float_and_keeps_its_bits() -> None:
    for value in (1.0, 0.1 + 0.2, 1e16, 5e-324, -0.0, 1.7976931348623157e308):
        back = tomllib.loads(toml_text({"value": value}))["value"]
        assert (repr(back), type(back)) == (repr(value), float)


def test_matrix_is_one_line_or_one_row_each() -> None:
    row = [1.0, 0.0, 0.0, 0.0]
    assert toml_text({"m": [row] * 2}) == "m = [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]\n"
    long = [[value / 3 for value in row]] * 8
    assert toml_text({"m": long}).count("\n") == 10
    assert tomllib.loads(toml_text({"m": long})) == {"m": long}


def test_comment_stands_beside_a_short_key_and_above_a_long_one() -> None:
    text = toml_text({"short": 1, "long": "x" * 100}, {"short": "what\nit is", "long": "what it is"})
    assert text == f'short = 1  # what it is\n# what it is\nlong = "{"x" * 100}"\n'


@pytest.mark.parametrize("value", [None, b"bytes", object(), "\ud800"])
def test_what_toml_cannot_hold_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="TOML cannot hold"):
        toml_text({"key": value})
