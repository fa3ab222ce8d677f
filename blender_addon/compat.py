"""What differs between Blender 4.2 and 5.2, and the only file that asks for the version.

Verified on 4.2.23, 4.5.15, 5.0.1, 5.1.2 and 5.2.3. It imports `bpy` alone, so that the child process that rasterises
masks can use it without the extension.
"""

import bpy

VERSION = bpy.app.version


def compositor_tree(scene, create=False):
    """The compositor's node tree of a scene, or None; 5.0 made it a datablock of its own."""
    if VERSION >= (5, 0, 0):
        if scene.compositing_node_group is None and create:
            name = f"{scene.name} Compositor"
            scene.compositing_node_group = bpy.data.node_groups.new(name, "CompositorNodeTree")
        return scene.compositing_node_group
    if create:
        scene.use_nodes = True
    return scene.node_tree if scene.use_nodes else None


def own_compositor_tree(scene, tree):
    """Gives a scene this tree where trees are datablocks. Before 5.0 a scene's tree came with the scene."""
    if VERSION >= (5, 0, 0):
        scene.compositing_node_group = tree


def trees_are_datablocks():
    """Whether a compositor tree can be written to a library without its scene."""
    return VERSION >= (5, 0, 0)


def compositor_output(tree):
    """The input socket that shows what the compositor renders; it is made where there is none."""
    kind = "NodeGroupOutput" if VERSION >= (5, 0, 0) else "CompositorNodeComposite"
    if VERSION >= (5, 0, 0):
        items = tree.interface.items_tree
        if not any(item.item_type == "SOCKET" and item.in_out == "OUTPUT" for item in items):
            tree.interface.new_socket(name="Image", in_out="OUTPUT", socket_type="NodeSocketColor")
    node = next((node for node in tree.nodes if node.bl_idname == kind), None) or tree.nodes.new(kind)
    return node.inputs[0]


def set_exr(image_settings, depth):
    """Single-part EXR with channels R, G, B, which every version writes alike (a single one is not). depth: 16, 32."""
    if hasattr(image_settings, "media_type"):
        image_settings.media_type = "IMAGE"
    image_settings.file_format = "OPEN_EXR"
    image_settings.color_mode = "RGB"
    image_settings.color_depth = str(depth)
    image_settings.exr_codec = "ZIP"


def set_exact_compositor(render):
    """Rendering without a GPU and at full precision: headless machines have none, and AUTO computes in half."""
    for name, value in (("compositor_device", "CPU"), ("compositor_precision", "FULL")):
        if hasattr(render, name):
            setattr(render, name, value)


def path_options():
    """What a path property needs so that it may be relative to the .blend; 4.5 asks for it and warns without."""
    return {"PATH_SUPPORTS_BLEND_RELATIVE"} if VERSION >= (4, 5, 0) else set()


def poll_option(function):
    """A pointer's filter, for its property. 4.2 as a Python module crashes at exit where a property has one."""
    return {"poll": function} if VERSION >= (4, 5, 0) else {}


def strips_of(scene):
    """All strips of a scene's sequencer, those in meta strips too."""
    editor = scene.sequence_editor
    if editor is None:
        return ()
    return tuple(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def sequencer_scene(context):
    """The scene that the sequencer shows; from 5.0 on it need not be the window's."""
    return getattr(context, "sequencer_scene", None) or context.scene


def strip_times(strip):
    """First scene frame shown, the frame after the last one, and the scene frame of the strip's first element."""
    if VERSION >= (5, 1, 0):
        return round(strip.left_handle), round(strip.right_handle), round(strip.content_start)
    return round(strip.frame_final_start), round(strip.frame_final_end), round(strip.frame_start)


def working_primaries():
    """Blender's name of the linear space that colours of lights are in; a custom $OCIO before 5.0 does not tell."""
    if VERSION >= (5, 0, 0):
        return bpy.data.colorspace.working_space
    return "Linear Rec.709"


def surface_nodes(owner):
    """The node tree that makes a world or a light shine, or None where plain properties do.

    Asking for `use_nodes` warns where it is always true: worlds from 5.0 on, lights from 5.1 on.
    """
    if VERSION >= (5, 1, 0) or (VERSION >= (5, 0, 0) and isinstance(owner, bpy.types.World)):
        return owner.node_tree
    return owner.node_tree if owner.use_nodes else None


def light_temperature_color(light):
    """The colour that a light's temperature multiplies its own by, scene-linear; 4.5 brought temperatures."""
    return tuple(light.temperature_color) if getattr(light, "use_temperature", False) else (1.0, 1.0, 1.0)


def light_exposure(light):
    """Stops on top of a light's power; 4.5 brought them."""
    return getattr(light, "exposure", 0.0)


def light_is_normalized(light):
    """Whether a light's power is spread over its size, as it always was before 4.5."""
    return getattr(light, "normalize", True)


# Nodes of the result group (blender_addon/results/). These ask what there is, not which version runs.


def math_node():
    """The Math node's type in the compositor; 5.0 kept only the one that shaders have."""
    return "CompositorNodeMath" if hasattr(bpy.types, "CompositorNodeMath") else "ShaderNodeMath"


def set_apply_mask(node):
    """Makes a Set Alpha node multiply all channels; 5.0 turned its enum into a menu input, which takes the label."""
    if hasattr(node, "mode"):
        node.mode = "APPLY"
    else:
        node.inputs["Type"].default_value = "Apply Mask"


def resting_compositor_tree(scene):
    """The compositor's tree even where the artist has switched it off, which could be done before 5.0; or None."""
    return compositor_tree(scene) if VERSION >= (5, 0, 0) else scene.node_tree


def new_strips(scene):
    """Where a strip is added; the scene gets a sequencer if it has none. 5.0 dropped the old name."""
    editor = scene.sequence_editor or scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def sequencer_reads_layers():
    """Whether the sequencer shows the composite of a multilayer EXR; 4.2 shows black."""
    return VERSION >= (4, 5, 0)


def use_working_primaries(name):
    """Makes this process compute in another linear space than the factory's; only 5.0 and later have a choice."""
    if VERSION >= (5, 0, 0) and bpy.data.colorspace.working_space != name:
        bpy.ops.wm.set_working_color_space(working_space=name)
