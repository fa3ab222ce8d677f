"""What a result's header carries from the plate, and what it states anew."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import OpenEXR
import pytest

from platelight_server.color.spaces import Space, named
from platelight_server.plates import exr, frames_out
from platelight_server.plates.header import carried, color_attributes, read_stated, stated, untimed

KEY = OpenEXR.KeyCode(1, 2, 3, 4, 5, 4, 64)
CODE = OpenEXR.TimeCode(1, 2, 3, 4, True, False, True, False, True, False, 1, 2, 3, 4, 5, 6, 7, 8)
CARRIED: dict[str, Any] = {
    "timeCode": CODE,
    "keyCode": KEY,
    "framesPerSecond": Fraction(24000, 1001),
    "captureRate": Fraction(48, 1),
    "pixelAspectRatio": 2.0,
    "screenWindowWidth": 1.5,
    "screenWindowCenter": np.array([0.25, -0.5], np.float32),
    "worldToCamera": np.arange(16, dtype=np.float32).reshape(4, 4) / 7,
    "worldToNDC": np.arange(16, dtype=np.float32).reshape(4, 4) * -3,
    "owner": "ACME",
    "comments": "grün 日本",
    "capDate": "2026:02:03 04:05:06",
    "utcOffset": 3600.0,
    "longitude": 8.5,
    "latitude": -47.25,
    "altitude": 412.0,
    "focus": 3.5,
    "expTime": 0.020833334,
    "aperture": 2.8,
    "isoSpeed": 800.0,
    "cameraMake": "ARRI",
    "cameraModel": "ALEXA 35",
    "cameraSerialNumber": "K1.0012345",
    "cameraFirmwareVersion": "1.2.1",
    "cameraUuid": "6e1b-77",
    "cameraLabel": "A",
    "cameraCCTSetting": 5600.0,
    "cameraTintSetting": -1.5,
    "cameraColorBalance": np.array([1.5, 2.25], np.float32),
    "lensMake": "Cooke",
    "lensModel": "S4/i 32mm",
    "lensSerialNumber": "0815",
    "nominalFocalLength": 32.0,
    "effectiveFocalLength": 31.9,
    "entrancePupilOffset": -0.08,
    "reelName": "A003C007",
    "imageCounter": 12345,
    "ascFramingDecisionList": "<fdl/>",
    "originalDataWindow": ((-5, -6), (700, 800)),
    "studio/shot": "sh010",
    "studio:show": "a b c",
    "name with spaces": "x",
    "studio_int": -7,
    "studio_float": 0.1,
    "studio_v2i": np.array([3, -4], np.int32),
    "studio_v2f": np.array([0.1, -0.2], np.float32),
    "studio_v3f": np.array([0.1, -0.2, 0.3], np.float32),
    "studio_m33f": np.arange(9, dtype=np.float32).reshape(3, 3) / 3,
    "studio_list": ["one", "zwei", "三"],
    "a_studio_attribute_whose_name_is_longer_than_thirty_one_letters": "kept",
}
ANEW: dict[str, Any] = {
    "chromaticities": (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329),
    "colorInteropID": "lin_rec709_scene",
    "acesImageContainerFlag": 1,
    "adoptedNeutral": np.array([0.3, 0.3], np.float32),
    "whiteLuminance": 100.0,
    "dwaCompressionLevel": 200.0,
    "view": "left",
    "multiView": ["left", "right"],
    "platelight:recipeHash": "of another job",
}


@pytest.fixture(scope="module")
def round_trip(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A plate with all attributes, read, and its carried attributes written and read again."""
    folder = tmp_path_factory.mktemp("header")
    plane = {"R": np.zeros((4, 6), np.float16)}
    exr.write(folder / "plate.exr", plane, {**CARRIED, **ANEW}, "zips")
    header = carried(exr.read_info(folder / "plate.exr").header)
    frames_out.write_frame(folder / "result.exr", plane, header, "zips")
    return dict(exr.read_info(folder / "result.exr").header)


def _plain(value: object) -> object:
    """Comparable to the bit: arrays as bytes, floats as the float32 of a header, the library's structs as text."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return np.float32(value).tobytes()
    if isinstance(value, (tuple, list)):
        return [np.asarray(one).tolist() for one in value]
    return str(value) if type(value).__module__.startswith("OpenEXR") else value


@pytest.mark.parametrize("name", sorted(CARRIED))
def test_plate_attribute_is_carried_to_the_bit(round_trip: dict[str, Any], name: str) -> None:
    assert _plain(round_trip.get(name)) == _plain(CARRIED[name])


@pytest.mark.parametrize("name", sorted(ANEW))
def test_colour_and_storage_attribute_is_not_carried(round_trip: dict[str, Any], name: str) -> None:
    assert name not in round_trip


def test_tile_description_is_not_carried() -> None:
    assert carried({"tiles": 1, "type": 2, "lineOrder": 3, "chunkCount": 4, "owner": "x"}) == {"owner": "x"}


def test_frame_that_stands_in_for_another_has_no_time_code() -> None:
    header = {"timeCode": CODE, "owner": "x", "imageCounter": 3, "worldToCamera": 1}
    assert untimed(header) == {"owner": "x"}


def test_known_space_is_stated_by_its_id_alone() -> None:
    assert color_attributes(named("ACEScg")) == {"colorInteropID": "lin_ap1_scene"}


def test_unknown_primaries_are_stated_as_chromaticities_alone() -> None:
    values = (0.73, 0.28, 0.14, 0.855, 0.1, -0.05, 0.3127, 0.329)
    assert color_attributes(Space("camera", None, values)) == {"chromaticities": values}


def test_own_attributes_are_read_back_without_prefix() -> None:
    assert read_stated({**stated({"a": "text", "b": [1, None]}), "owner": "x"}) == {"a": "text", "b": "[1,null]"}
