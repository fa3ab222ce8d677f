"""Messages on the wire: golden bytes, bounds, bombs, and peers of other versions."""

from __future__ import annotations

import dataclasses
import tracemalloc
import typing
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platelight import messages as m
from platelight.errors import ProtocolError
from platelight.wire import CHUNK, HEADER_MOST, TOGETHER, decode_frames, encode_frames
from tests.service.golden.samples import GOLDEN, SAMPLES

PUT: bytes = msgpack.packb({"t": "put", "id": "a", "blob": "sha256:" + "0" * 64})
TABLES = {"requests": m.REQUESTS, "answers": m.ANSWERS}
# A bomb of 64 KiB may cost a few times its size while it is refused, not hundreds of times.
BOMB_BYTES_MOST = 2 << 20


def test_every_message_has_a_golden_sample() -> None:
    assert {type(sample) for sample in SAMPLES} == set(m.NAMES)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: m.NAMES[type(sample)])
def test_message_is_as_the_golden_bytes(sample: m.Message) -> None:
    name = m.NAMES[type(sample)]
    direction = "requests" if type(sample) in m.REQUESTS.values() else "answers"
    golden = (GOLDEN / direction / f"{name}.msgpack").read_bytes()
    assert bytes(encode_frames(sample)[0]) == golden
    assert decode_frames([golden], TABLES[direction])[0] == sample


def test_defaults_are_left_out_and_unknown_fields_are_ignored() -> None:
    assert msgpack.unpackb(encode_frames(m.Ping(id="a"))[0]) == {"t": "ping", "id": "a"}
    newer = msgpack.packb({"t": "ping", "id": "a", "mood": "fine", "nested": {"x": [1, 2]}})
    assert decode_frames([newer], m.REQUESTS)[0] == m.Ping(id="a")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"t": "dance", "id": "a"}, "UNSUPPORTED"),
        ({"id": "a"}, "UNSUPPORTED"),
        ({"t": 7, "id": "a"}, "UNSUPPORTED"),
        ({"t": "ping", "id": 7}, "BAD_MESSAGE"),
        ({"t": "ping", "id": "a b"}, "BAD_MESSAGE"),
        ({"t": "ping", "id": "a" * 65}, "BAD_MESSAGE"),
        ({"t": "have", "id": "a", "blob": "md5:00", "size": 1}, "BAD_MESSAGE"),
        ({"t": "have", "id": "a", "blob": "sha256:" + "0" * 64, "size": -1}, "BAD_MESSAGE"),
        ({"t": "have", "id": "a", "blob": "sha256:" + "0" * 64, "size": 2**60}, "BAD_MESSAGE"),
        ({"t": "job", "id": "a", "job": "../../etc"}, "BAD_MESSAGE"),
        ({"t": "preview", "id": "a", "width": 1 << 20}, "BAD_MESSAGE"),
        ({"t": "submit", "id": "a", "priority": "high"}, "BAD_MESSAGE"),
        ({"t": "welcome", "id": "a"}, "UNSUPPORTED"),
    ],
)
def test_nonsense_is_refused_with_a_code(header: dict[str, Any], code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_frames([msgpack.packb(header)], m.REQUESTS)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b""],
        [b"\xc1"],
        [b"\x80", b"", b""],
        [msgpack.packb([1, 2])],
        [msgpack.packb({"t": "ping"}) + b"\x00"],
        [msgpack.packb({1: 2})],
        [msgpack.packb({b"t": b"ping"})],
        [msgpack.packb({"t": "ping", "x": msgpack.ExtType(1, b"a")})],
        [msgpack.packb({"t": "ping", "x": b"binary"}, use_bin_type=True)],
        [msgpack.packb({"t": "ping", "x": "a" * 5000})],
        [msgpack.packb({"t": "ping", "x": [0] * 2000})],
        [b"\x00" * (HEADER_MOST + 1)],
        [msgpack.packb({"t": "ping"}), b"payload"],
        [PUT, b"\x00" * (CHUNK + 1)],
        [PUT, b"", b"\x00" * (CHUNK + 1)],
        [PUT, *[b""] * (TOGETHER + 1)],
        [msgpack.packb({"t": "check", "id": "a"}), b"", b""],
    ],
    ids=lambda frames: str(frames)[:30],
)
def test_malformed_frames_are_refused(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        decode_frames(frames, m.REQUESTS)


BOMBS = {
    "nested arrays": b"\x81\xa1x" + b"\x91" * 60_000,
    "nested array32 headers": b"\x81\xa1x" + b"\xdd\x00\x00\xff\xff" * 12_000,
    "nested maps": b"\x81\xa1x" + b"\x81\xa0" * 30_000,
    "empty maps": b"\x81\xa1x\xdd\x00\x00\xea\x60" + b"\x80" * 60_000,
    "fixext": b"\x81\xa1x\xdd\x00\x00\x4e\x20" + b"\xd4\x01\x00" * 20_000,
    "array of four billion": b"\x81\xa1x\xdd\xff\xff\xff\xff",
    "text of four billion": b"\x81\xa1x\xdb\xff\xff\xff\xff",
    "map of four billion": b"\xdf\xff\xff\xff\xff",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_and_cost_little(bomb: bytes) -> None:
    assert len(bomb) <= HEADER_MOST
    tracemalloc.start()
    with pytest.raises(ProtocolError):
        decode_frames([bomb], m.REQUESTS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < BOMB_BYTES_MOST


def test_a_message_too_large_to_send_is_an_error_of_the_sender() -> None:
    with pytest.raises(ProtocolError, match="at most 65536 bytes"):
        encode_frames(m.Refused(text="a" * 70_000))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_message_or_a_protocol_error(data: bytes) -> None:
    try:
        message, _ = decode_frames([data], m.REQUESTS)
    except ProtocolError:
        return
    assert type(message) in m.REQUESTS.values()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(SAMPLES), st.integers(0, 10_000), st.integers(0, 255), st.integers(0, 400))
def test_damaged_messages_are_refused_or_read(sample: m.Message, place: int, value: int, cut: int) -> None:
    data = bytearray(encode_frames(sample)[0])
    data[place % len(data)] = value
    for kinds in (m.REQUESTS, m.ANSWERS):
        for one in (bytes(data), bytes(data[: max(1, len(data) - cut)])):
            try:
                message, payload = decode_frames([one], kinds)
            except ProtocolError as error:
                assert error.code in m.CODES
                continue
            assert type(message) in kinds.values() and payload is None


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_messages_come_back_as_they_went(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(m.NAMES, key=lambda one: one.__name__)))
    fields = {"id": data.draw(st.from_regex(r"[0-9A-Za-z_-]{1,64}", fullmatch=True))}
    for item in dataclasses.fields(kind):
        if item.type == "int" and item.name not in ("frame",):
            rule = item.metadata["rule"]
            fields[item.name] = data.draw(st.integers(int(rule.minimum or 0), int(rule.maximum or 2**31)))
        elif item.type == "bool":
            fields[item.name] = data.draw(st.booleans())
    message = kind(**fields)
    table = m.REQUESTS if kind in m.REQUESTS.values() else m.ANSWERS
    if table is m.REQUESTS and kind in (m.Have, m.Put, m.JobAsked, m.Watch, m.Unwatch, m.Change, m.FilesAsked, m.Get):
        job = {"job": "0" * 16} if hasattr(message, "job") else {"blob": "sha256:" + "0" * 64}
        message = dataclasses.replace(message, **job)
    assert decode_frames(encode_frames(message), table)[0] == message


def test_protocol_document_names_every_message_field_and_code() -> None:
    text = (Path(__file__).parents[2] / "shared" / "PROTOCOL.md").read_text("utf-8")
    for table in (m.REQUESTS, m.ANSWERS):
        for name, kind in table.items():
            assert f"`{name}`" in text, name
            if name == "event":
                continue
            for item in dataclasses.fields(kind):
                assert item.name == "id" or f"`{item.name}`" in text, f"{name}.{item.name}"
    for code in m.CODES:
        assert f"`{code}`" in text
    for item in dataclasses.fields(m.JobStatus):
        assert item.name in text
    assert typing.get_args(m.State) == m.STATES
