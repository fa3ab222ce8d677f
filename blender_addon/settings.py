"""What an artist sets for a shot, kept in the .blend: `scene.platelight.shots`, one group of settings per shot.

Owns names, descriptions, ranges and defaults; those of the dials are the recipe's own (`dials`). It does nothing:
`gather` reads it, panels draw it. Frames here are scene frames.
"""

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from . import compat
from .core import DEFAULT_LAYERS, LAYERS, Background, EngineChoice, Output, Plate, fields_of
from .dials import PlatelightEngineOptions, PlatelightLook, dial
from .keying import PlatelightKeying, PlatelightScreenBox

PATH = compat.path_options()


def _items(*rows):
    return tuple((row[0], row[1], row[2]) for row in rows)


def _is_camera(_, candidate):
    return candidate.type == "CAMERA"


class PlatelightShot(bpy.types.PropertyGroup):
    """One shot. Which of the pointers count is said by the kinds: `plate_kind`, `matte_kind` and so on."""

    name: StringProperty(name="Name", description="Names the shot, its folder and its files", default="shot")

    plate_kind: EnumProperty(
        name="Plate",
        description="Where the filmed sequence comes from",
        items=_items(
            ("CLIP", "Movie Clip", "A clip of the clip editor, with its solve"),
            ("IMAGE", "Image Sequence", "An image of this file whose source is a sequence"),
            ("STRIP", "Strip", "An image strip of the video sequencer"),
        ),
    )
    plate_clip: PointerProperty(name="Clip", description="The plate as a clip", type=bpy.types.MovieClip)
    plate_image: PointerProperty(name="Image", description="The plate as an image sequence", type=bpy.types.Image)
    plate_strip: StringProperty(name="Strip", description="The plate as a strip, by the strip's name")
    image_scene_first: IntProperty(
        name="First Frame On",
        description="Scene frame that shows the image's own file; 0 asks an Image node, else takes the scene's first",
    )
    missing: dial(Plate, "missing")

    range_kind: EnumProperty(
        name="Frames",
        description="Which frames are relit",
        items=_items(
            ("PLATE", "All of the plate", "Every file of the plate from its first one on"),
            ("SCENE", "The scene's", "The frame range of the scene"),
            ("OWN", "Own", "From the first to the last frame given here"),
        ),
    )
    frame_first: IntProperty(name="First", description="First scene frame that is relit", default=1)
    frame_last: IntProperty(name="Last", description="Last scene frame that is relit", default=250)

    matte_kind: EnumProperty(
        name="Matte",
        description="What tells the foreground from the background",
        items=_items(
            ("NONE", "None", "The whole picture is foreground"),
            ("PLATE_ALPHA", "Plate's Alpha", "The alpha channel of the plate itself"),
            ("FILE", "Files", "A matte that lies on disk"),
            ("MASK", "Mask", "A mask drawn in Blender"),
            ("CRYPTOMATTE", "Cryptomatte", "Objects or materials of a rendered Cryptomatte"),
            ("SOCKET", "Compositor Socket", "What comes out of a node of this scene's compositor"),
            ("KEY", "Key", "The plate's own green or blue screen is keyed by the server, as it reads the plate"),
        ),
    )
    matte_path: StringProperty(
        name="Matte Files",
        description="One file of the matte, or its pattern with ####",
        subtype="FILE_PATH",
        options=PATH,
    )
    matte_channel: StringProperty(
        name="Channel", description="Channel of the matte's files; empty takes A, or the only one"
    )
    matte_mask: PointerProperty(name="Mask", description="The mask that is the matte", type=bpy.types.Mask)
    matte_crypto_layer: StringProperty(
        name="Layer", description="Cryptomatte layer, such as CryptoObject; empty takes the only one"
    )
    matte_crypto_names: StringProperty(name="Names", description="Names in the Cryptomatte, with commas between them")
    matte_node: StringProperty(name="Node", description="Node of the compositor that gives the matte")
    matte_socket: StringProperty(name="Socket", description="Output of that node; empty takes its first one")
    keying: PointerProperty(name="Keying", description="The keyer's dials", type=PlatelightKeying)
    matte_invert: BoolProperty(name="Invert", description="The matte is white where the background is")

    background_kind: EnumProperty(
        name="Background",
        description="What stands behind the foreground in the result",
        items=_items(
            ("KEEP", "Keep", "The plate's own background stays as it is"),
            ("CLIP", "Movie Clip", "A clip, frame by frame with the plate"),
            ("SEQUENCE", "Image Sequence", "An image sequence, frame by frame with the plate"),
            ("STILL", "Still", "One picture"),
            ("HDRI", "HDRI", "The surroundings in a lat-long picture: they light the foreground"),
            ("CAMERA_VIEW", "Camera View", "This scene as the solved camera sees it"),
            ("PROMPT", "Prompt", "A description, for engines that paint"),
        ),
    )
    background_clip: PointerProperty(name="Clip", description="The new background as a clip", type=bpy.types.MovieClip)
    background_image: PointerProperty(
        name="Image", description="The new background as an image, a sequence, a still or an HDRI", type=bpy.types.Image
    )
    background_prompt: StringProperty(name="Prompt", description="What the new background shows")
    background_exposure: dial(Background, "exposure_stops")
    background_fit: dial(Background, "fit")
    background_offset: IntProperty(
        name="Offset", description="Frames by which the background is ahead of where it stands in the scene"
    )
    background_move: dial(Background, "move")
    background_depth: dial(Background, "depth")
    background_distance: dial(Background, "distance_m", 10.0)
    background_reference_is_first: BoolProperty(
        name="Shown by First Frame", description="A moving still shows the view of the shot's first frame", default=True
    )
    background_reference: IntProperty(
        name="Shown by Frame", description="Scene frame whose view a moving still shows", default=1
    )

    camera_kind: EnumProperty(
        name="Camera",
        description="Where the camera's movement comes from",
        items=_items(
            ("NONE", "None", "No camera: probes and lights turn with the picture"),
            ("SOLVE", "Solve", "The solve of the plate's clip"),
            ("OBJECT", "Object", "A camera of this scene, with its animation and constraints"),
            ("FILE", "File", "A Nuke .chan or a camera JSON"),
        ),
        default="NONE",
    )
    camera_clip: PointerProperty(
        name="Clip", description="Clip with the solve, where the plate itself is no clip", type=bpy.types.MovieClip
    )
    camera_object: PointerProperty(
        name="Camera",
        description="The camera that films the plate",
        type=bpy.types.Object,
        **compat.poll_option(_is_camera),
    )
    camera_path: StringProperty(
        name="File", description="Camera file, .chan or .json", subtype="FILE_PATH", options=PATH
    )
    camera_points: EnumProperty(
        name="Points",
        description="What of the solve's set is sent beside the camera, for engines that use it",
        items=_items(
            ("NONE", "None", "The camera alone"),
            ("POINTS", "Points", "The points that were solved with the camera"),
            ("TRACKS", "Points and Tracks", "The points, and where each frame shows them: megabytes for long shots"),
        ),
        default="POINTS",
    )

    use_lights: BoolProperty(name="Lights", description="The scene's lights light the foreground", default=True)
    lights_collection: PointerProperty(
        name="Collection", description="Only the lights of this collection; empty takes all", type=bpy.types.Collection
    )
    use_world: BoolProperty(name="World", description="The world lights the foreground", default=True)
    world_rotation: FloatProperty(
        name="Rotation", description="Turns the HDRI, anticlockwise from above", subtype="ANGLE", unit="ROTATION"
    )
    world_exposure: FloatProperty(name="Exposure", description="Brightens the HDRI, stops", min=-20, max=20)
    probe_plate_path: StringProperty(
        name="Plate's HDRI",
        description="Lat-long HDRI of the place where the plate was filmed",
        subtype="FILE_PATH",
        options=PATH,
    )

    ground_kind: EnumProperty(
        name="Ground",
        description="What catches the foreground's shadow",
        items=_items(
            ("NONE", "None", "No shadow is cast"),
            ("OBJECT", "Object", "The plane through an object, across its own Z axis"),
            ("COLLECTION", "Collection", "The plane through the largest mesh of a collection"),
        ),
    )
    ground_object: PointerProperty(name="Object", description="The ground", type=bpy.types.Object)
    ground_collection: PointerProperty(name="Collection", description="The ground", type=bpy.types.Collection)

    look: PointerProperty(name="Look", description="The dials of the look", type=PlatelightLook)
    engine: StringProperty(
        name="Engine", description="The engine that relights", default=next(i.default for i in fields_of(EngineChoice))
    )
    engine_options: PointerProperty(
        name="Options", description="The engine's own options", type=PlatelightEngineOptions
    )

    output_directory: StringProperty(
        name="Folder",
        description="Results come below this folder",
        subtype="DIR_PATH",
        options=PATH,
        default="//platelight/",
    )
    output_layers: EnumProperty(
        name="Layers",
        description="What is delivered",
        items=tuple((layer, layer.capitalize(), "", 1 << i) for i, layer in enumerate(LAYERS)),
        options={"ENUM_FLAG"},
        default=set(DEFAULT_LAYERS),
    )
    output_compression: dial(Output, "compression")
    output_depth: dial(Output, "depth")

    job: StringProperty(name="Job", description="The job sent last, as the server names it")
    version: IntProperty(name="Version", description="Number of the result made last; 0 before the first", min=0)
    recipe_hash: StringProperty(name="Hash", description="What the result was made from; another one means stale")
    scene_offset: IntProperty(name="Offset", description="File number minus scene frame of the job sent last")


class PlatelightScene(bpy.types.PropertyGroup):
    """The shots of a scene, and the one that panels and operators mean."""

    shots: CollectionProperty(name="Shots", description="The shots of this scene", type=PlatelightShot)
    shot_index: IntProperty(name="Shot", description="The shot that panels and buttons mean", min=0)


CLASSES = (
    PlatelightLook,
    PlatelightEngineOptions,
    PlatelightScreenBox,
    PlatelightKeying,
    PlatelightShot,
    PlatelightScene,
)


def active_shot(scene):
    """The shot that panels and operators mean, or None."""
    held = scene.platelight
    return held.shots[held.shot_index] if held.shot_index < len(held.shots) else None


def register():
    """Adds `scene.platelight`."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.platelight = PointerProperty(
        name="Platelight", description="Shots to be relit", type=PlatelightScene
    )


def unregister():
    """Takes `scene.platelight` away; what a .blend holds stays in it."""
    del bpy.types.Scene.platelight
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
