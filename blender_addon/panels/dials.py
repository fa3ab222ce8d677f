"""The look: its first dials and the engine on the first page, the rest folded; and the inputs in detail."""

from __future__ import annotations

from ..settings import active_shot
from .keying import draw_keying
from .options import draw_engine

# What the artist reaches for first; the other dials are folded.
FIRST_DIALS = ("strength", "exposure_stops", "preserve_detail")
# The settings that say more about a kind of input.
SOURCES = {
    "plate": {"CLIP": ("plate_clip",), "IMAGE": ("plate_image", "image_scene_first"), "STRIP": ("plate_strip",)},
    "matte": {
        "FILE": ("matte_path", "matte_channel"),
        "MASK": ("matte_mask",),
        "CRYPTOMATTE": ("matte_node", "matte_path", "matte_crypto_layer", "matte_crypto_names"),
        "SOCKET": ("matte_node", "matte_socket"),
    },
    "background": {
        "CLIP": ("background_clip", "background_offset"),
        "SEQUENCE": ("background_image", "background_offset"),
        "STILL": ("background_image",),
        "HDRI": ("background_image",),
        "PROMPT": ("background_prompt",),
    },
    "camera": {
        "SOLVE": ("camera_clip", "camera_points"),
        "OBJECT": ("camera_object",),
        "FILE": ("camera_path",),
    },
    "ground": {"OBJECT": ("ground_object",), "COLLECTION": ("ground_collection",)},
}


def draw_dials(layout, context):
    """The first dials; then the engine and its own options."""
    shot = active_shot(context.scene)
    if shot is None:
        return
    column = layout.column(align=True)
    for name in FIRST_DIALS:
        column.prop(shot.look, name)
    draw_engine(layout, shot)


def draw_inputs(layout, context):
    """Every input with its kind and what the kind asks for."""
    shot = active_shot(context.scene)
    if shot is None:
        return
    for name, sources in SOURCES.items():
        kind = f"{name}_kind"
        column = layout.column(align=True)
        column.prop(shot, kind)
        for source in sources.get(getattr(shot, kind), ()):
            column.prop(shot, source)
        if name == "matte" and shot.matte_kind == "KEY":
            draw_keying(column, shot)
        if name == "background" and shot.background_kind == "STILL":
            _draw_move(column, shot)
        if name == "matte" and shot.matte_kind not in {"NONE", "SOCKET"}:
            column.prop(shot, "matte_invert")


def _draw_move(layout, shot):
    """How a still moves. Without a camera it can only stand; what was set before then stays to be seen, and undone."""
    if shot.camera_kind == "NONE" and shot.background_move == "fixed":
        return
    layout.prop(shot, "background_move")
    if shot.background_move == "fixed":
        return
    layout.prop(shot, "background_depth")
    if shot.background_depth == "distance":
        layout.prop(shot, "background_distance")
    layout.prop(shot, "background_reference_is_first")
    if not shot.background_reference_is_first:
        layout.prop(shot, "background_reference")


def draw_more(layout, context):
    """What is folded: frames, light, the other dials, delivery."""
    shot = active_shot(context.scene)
    if shot is None:
        return
    column = layout.column()
    column.prop(shot, "range_kind")
    if shot.range_kind == "OWN":
        row = column.row(align=True)
        row.prop(shot, "frame_first")
        row.prop(shot, "frame_last")
    for name in (
        "missing",
        "use_lights",
        "lights_collection",
        "use_world",
        "world_rotation",
        "world_exposure",
        "probe_plate_path",
        "background_exposure",
        "background_fit",
    ):
        column.prop(shot, name)
    for name in shot.look.bl_rna.properties.keys():  # noqa: SIM118  (iterating gives properties, not names)
        if name not in (*FIRST_DIALS, "rna_type", "name"):
            column.prop(shot.look, name)
    for name in ("output_directory", "output_compression", "output_depth"):
        column.prop(shot, name)
    column.label(text="Layers")
    flow = column.grid_flow(columns=2, align=True)
    flow.prop(shot, "output_layers")
