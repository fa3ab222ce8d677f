"""Camera files in: Nuke `.chan`, the JSON of the development shots, and OpenEXR's worldToCamera matrix.

Each reader converts to the one convention of `camera`. What a file does not say (plate size, sensor, focal length) is
asked for; what it says wrong is refused with file and line. Nothing is interpolated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite, radians, tan
from pathlib import Path

from .camera import Camera, CameraFrame, LensModel
from .errors import CameraError
from .matrices import Matrix4, determinant3, matrix4, multiply, rigid_inverse, rigid_problem, rotation_zxy, transpose

CAMERA_SUFFIXES = (".chan", ".json")

ASPECT_TOLERANCE = 0.01  # between a camera file's picture and the plate; proxies round to whole and even pixels

# World Z-up (Blender) to Y-up: x stays, z becomes y, y becomes -z. The camera's own axes do not change.
_Y_UP_FROM_Z_UP: Matrix4 = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def read_camera(
    path: str | Path,
    width_px: int,
    height_px: int,
    *,
    sensor_mm: tuple[float, float] | None = None,
    focal_mm: float | None = None,
    pixel_aspect: float = 1.0,
    lens: LensModel | None = None,
    opened: Path | None = None,
) -> Camera:
    """The camera in a file, for a plate of `width_px` x `height_px`. The suffix says which format it is.

    `sensor_mm`, `focal_mm` and `pixel_aspect` matter to `.chan` alone (see `read_chan`). A JSON holds its own picture
    size and is scaled to the plate's; sizes of another shape are refused. `opened` is the name to open the file under
    where that is not the one for messages.
    Raises CameraError for an unknown suffix, a missing or malformed file.
    """
    path = Path(path)
    if path.suffix.lower() == ".chan":
        return read_chan(
            path, width_px, height_px, sensor_mm=sensor_mm, focal_mm=focal_mm, pixel_aspect=pixel_aspect, lens=lens,
            opened=opened,
        )  # fmt: skip
    if path.suffix.lower() != ".json":
        raise CameraError(f"{path}: expected a camera file ending in {' or '.join(CAMERA_SUFFIXES)}; export one")
    camera = read_camera_json(path, lens=lens, opened=opened)
    solved = next(iter(camera.frames.values()))
    ratio = (width_px / height_px) / (solved.width_px / solved.height_px)
    if abs(ratio - 1) > ASPECT_TOLERANCE:
        raise CameraError(
            f"{path}: solved for {solved.width_px} x {solved.height_px} px, the plate is {width_px} x {height_px} px, "
            f"which has another shape; export the camera for the plate's format"
        )
    return camera.scaled(width_px, height_px)


def read_chan(
    path: str | Path,
    width_px: int,
    height_px: int,
    *,
    sensor_mm: tuple[float, float] | None = None,
    focal_mm: float | None = None,
    pixel_aspect: float = 1.0,
    lens: LensModel | None = None,
    opened: Path | None = None,
) -> Camera:
    """Nuke's `.chan`: per line `frame tx ty tz rx ry rz [vertical field of view]`, degrees, rotation order ZXY.

    Focal length, first of these that applies:
    the field of view and `sensor_mm` (width, height): focal = height/2 / tan(fov/2), then by the sensor's *width* to
    pixels, as Nuke projects; the field of view alone: the sensor's height is taken to fill the picture's height;
    `focal_mm` and `sensor_mm`. `pixel_aspect` is the width of a pixel over its height. The principal point is the
    centre: the format has none. Raises CameraError with the line number.
    """
    path = Path(path)
    frames: dict[int, CameraFrame] = {}
    for number, line in enumerate(_text(path, opened).splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path}, line {number}"
        frame, values = _chan_values(line, where)
        if frame in frames:
            raise CameraError(f"{where}: frame {frame} comes twice")
        x, y, z, turn_x, turn_y, turn_z = values[:6]
        rotation = rotation_zxy(turn_x, turn_y, turn_z)
        fov = values[6] if len(values) == 7 else None
        focal_x = _chan_focal_px(where, fov, width_px, height_px, sensor_mm, focal_mm, pixel_aspect)
        frames[frame] = CameraFrame(
            frame=frame,
            camera_to_world=matrix4(
                [[*rotation[i][:3], moved] for i, moved in enumerate((x, y, z))] + [[0.0, 0.0, 0.0, 1.0]]
            ),
            focal_px_x=focal_x,
            focal_px_y=focal_x * pixel_aspect,
            principal_x=width_px / 2,
            principal_y=height_px / 2,
            width_px=width_px,
            height_px=height_px,
        )
    if not frames:
        raise CameraError(f"{path}: expected lines of frame tx ty tz rx ry rz [fov], found none")
    return Camera(frames, lens or LensModel())


def _chan_values(line: str, where: str) -> tuple[int, list[float]]:
    words = line.split()
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) not in (7, 8) or not all(isfinite(n) for n in numbers) or numbers[0] != int(numbers[0]):
        shown = line.strip()[:80]
        raise CameraError(f"{where}: expected frame tx ty tz rx ry rz [fov] (7 or 8 numbers), got {shown!r}")
    return int(numbers[0]), numbers[1:]


def _chan_focal_px(
    where: str,
    fov_deg: float | None,
    width_px: int,
    height_px: int,
    sensor_mm: tuple[float, float] | None,
    focal_mm: float | None,
    pixel_aspect: float,
) -> float:
    """Focal length in pixels across."""
    if fov_deg is not None:
        if not 0 < fov_deg < 180:
            raise CameraError(f"{where}: expected a vertical field of view between 0 and 180 degrees, got {fov_deg:g}")
        if sensor_mm is None:
            return height_px / 2 / tan(radians(fov_deg) / 2) / pixel_aspect
        return sensor_mm[1] / 2 / tan(radians(fov_deg) / 2) / sensor_mm[0] * width_px
    if focal_mm is None or sensor_mm is None:
        raise CameraError(
            f"{where}: no field of view (8th number), so the focal length is unknown; "
            f"give camera.focal_mm and camera.sensor_mm, or export the file with a field of view"
        )
    return focal_mm / sensor_mm[0] * width_px


def read_camera_json(path: str | Path, *, lens: LensModel | None = None, opened: Path | None = None) -> Camera:
    """A JSON with `width`, `height`, `convention`, and `frames` of `frame`, `camera_to_world`, `fx`, `fy`, `cx`, `cy`.

    `convention` must name the world's up axis ("Y-up" or "Z-up"); Z-up is turned to Y-up. The camera looks down -Z
    with +Y up in both, and pixels are counted from the top-left corner. Raises CameraError naming file and frame.
    """
    path = Path(path)
    try:
        document = json.loads(_text(path, opened))
    except (ValueError, RecursionError) as error:
        raise CameraError(f"{path}: not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("frames"), list) or not document["frames"]:
        raise CameraError(f"{path}: expected an object with width, height, convention and a list of frames")
    to_y_up = _world_turn(document.get("convention"), path)
    width, height = (_whole(document, key, f"{path}") for key in ("width", "height"))
    frames = [_json_frame(entry, i, width, height, to_y_up, path) for i, entry in enumerate(document["frames"])]
    try:
        return Camera.of(frames, lens)
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error


def _world_turn(convention: object, path: Path) -> Matrix4 | None:
    text = convention.lower() if isinstance(convention, str) else ""
    y_up, z_up = "y-up" in text, "z-up" in text
    if y_up == z_up:
        raise CameraError(f'{path}: expected a "convention" that says Y-up or Z-up, got {convention!r}')
    return _Y_UP_FROM_Z_UP if z_up else None


def _json_frame(
    entry: object, index: int, width_px: int, height_px: int, to_y_up: Matrix4 | None, path: Path
) -> CameraFrame:
    if not isinstance(entry, Mapping):
        raise CameraError(f"{path}: frames[{index}]: expected an object, got {type(entry).__name__}")
    where = f"{path}: frames[{index}]"
    frame = _whole(entry, "frame", where)
    try:
        matrix = matrix4(entry["camera_to_world"])
        focal_x, focal_y, x, y = (float(entry[key]) for key in ("fx", "fy", "cx", "cy"))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CameraError(f"{where} (frame {frame}): expected camera_to_world 4x4, fx, fy, cx, cy: {error}") from error
    try:
        return CameraFrame(
            frame=frame,
            camera_to_world=multiply(to_y_up, matrix) if to_y_up else matrix,
            focal_px_x=focal_x,
            focal_px_y=focal_y,
            principal_x=x,
            principal_y=y,
            width_px=width_px,
            height_px=height_px,
        )
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error


def _whole(document: Mapping[str, object], key: str, where: str) -> int:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value != int(value):
        raise CameraError(f"{where}: expected a whole number under {key!r}, got {value!r}")
    return int(value)


def camera_from_world_to_camera(
    matrix: Sequence[Sequence[float]] | Sequence[float],
    *,
    frame: int,
    focal_px_x: float,
    focal_px_y: float,
    width_px: int,
    height_px: int,
    principal_x: float | None = None,
    principal_y: float | None = None,
) -> CameraFrame:
    """The camera of an EXR header's `worldToCamera` (an M44f: 4 rows of 4, or 16 numbers row by row).

    OpenEXR multiplies row vectors, `p_camera = p_world · M`, so the translation stands in the last *row*.
    Its camera space is left-handed and looks down +Z (ImfStandardAttributes.h): such a matrix has determinant -1 over a
    right-handed world, and its Z is turned. Determinant +1 is the camera space of OpenGL, Nuke and Arnold, which looks
    down -Z, and is taken as it is. The world is taken as Y-up; principal point `None` is the centre.
    Raises CameraError for a matrix that is not rigid.
    """
    try:
        to_camera = transpose(matrix4(matrix))
    except (TypeError, ValueError) as error:
        raise CameraError(f"worldToCamera, frame {frame}: {error}") from error
    if determinant3(to_camera) < 0:
        right, up, ahead, last = to_camera
        to_camera = (right, up, (-ahead[0], -ahead[1], -ahead[2], -ahead[3]), last)
    problem = rigid_problem(to_camera)
    if problem:
        raise CameraError(f"worldToCamera, frame {frame}: {problem}; the header's camera cannot be used")
    return CameraFrame(
        frame=frame,
        camera_to_world=rigid_inverse(to_camera),
        focal_px_x=focal_px_x,
        focal_px_y=focal_px_y,
        principal_x=width_px / 2 if principal_x is None else principal_x,
        principal_y=height_px / 2 if principal_y is None else principal_y,
        width_px=width_px,
        height_px=height_px,
    )


def _text(path: Path, opened: Path | None) -> str:
    try:
        return (opened or path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CameraError(f"{path}: cannot read the camera file: {error.strerror or error}; check the path") from error
    except UnicodeDecodeError as error:
        raise CameraError(f"{path}: expected a text file (UTF-8), got other bytes at {error.start}") from error
