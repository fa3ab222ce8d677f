"""The package's public face, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import platelight

HEAVY = ("numpy", "torch", "zmq", "msgpack", "OpenImageIO")


def test_public_names_are_sorted_and_all_there() -> None:
    assert platelight.__all__ == sorted(platelight.__all__)
    assert [name for name in platelight.__all__ if not hasattr(platelight, name)] == []
    assert set(platelight.__all__) - set(dir(platelight)) == set()


def test_public_names_are_the_expected_ones() -> None:
    assert platelight.__all__ == [
        "AccessError", "AsyncClient", "AsyncJob", "Background", "BusyError", "Camera", "CameraError", "CameraFrame",
        "CameraSource", "CancelledError", "Client", "ColorError", "EngineChoice", "Estimate", "Event",
        "ForbiddenPathError", "FrameError", "FrameRange", "Ground", "InputError", "Job", "JobFailedError",
        "JobResult", "JobStatus", "LensModel", "Light", "LightFrame", "Look", "Matte", "MissingExtraError",
        "NamedFile", "NormalSource", "NotFoundError", "Output", "OutputError", "PartialError", "Picture", "Plate",
        "PlatelightError", "Probe", "Problem", "ProtocolError", "Recipe", "RecipeError", "Reference",
        "RefusedError", "RelitSource", "Report", "ResourceError", "RestartedError", "SequencePath", "ServerError",
        "ServerStatus",
        "TrackedPoint", "UnreachableError", "__version__", "camera_from_world_to_camera", "connect", "connect_async",
        "read_camera", "read_camera_json", "read_chan", "with_value",
    ]  # fmt: skip


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Recepy'"):
        platelight.Recepy  # noqa: B018


@pytest.mark.parametrize(
    "statement", ["import platelight", "import platelight; platelight.Recipe; platelight.read_chan"]
)
def test_import_brings_in_nothing_heavy(statement: str) -> None:
    code = f"{statement}; import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_takes_a_fraction_of_a_second() -> None:
    code = "import time; a = time.process_time(); import platelight; print(time.process_time() - a)"
    seconds = min(
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    )
    assert seconds < 0.2  # the limit of the issue; about 0.005 s of CPU time measured
