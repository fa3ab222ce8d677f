"""The layers of a result as sockets: what a file's layers are called in Blender, and what the group offers.

Data, no `bpy`. Socket types are those that a group of every version from 4.2 on can have: colour, number, vector.
"""

from __future__ import annotations

from dataclasses import dataclass

COLOR, NUMBER, VECTOR = "NodeSocketColor", "NodeSocketFloat", "NodeSocketVector"

# The layer's name in the file -> the name of the Image node's socket. Top-level R, G, B, A become "Combined".
SOCKET_OF = {"composite": "Combined"}


@dataclass(frozen=True)
class Output:
    """A socket on the right of the group. `layer` is what it shows; `Image` and `Delivered` are computed."""

    name: str
    layer: str
    kind: str
    description: str


@dataclass(frozen=True)
class Dial:
    """A socket on the left of the group; numbers have a range, colours do not."""

    name: str
    kind: str
    default: float | tuple[float, float, float, float]
    least: float = 0.0
    most: float = 1.0
    description: str = ""


OUTPUTS = (
    Output(
        "Image", "", COLOR, "The composite, rebuilt from the layers with the dials; as delivered where they are at 1"
    ),
    Output("Composite", "composite", COLOR, "The composite as delivered; no dial changes it"),
    Output("Background", "background", COLOR, "What stands behind the subject, without its shadow"),
    Output("Relit", "relit", COLOR, "The subject in its new light, premultiplied; follows the dials"),
    Output("Alpha", "alpha", NUMBER, "The matte; follows Edge"),
    Output("Foreground", "foreground", COLOR, "The subject as filmed, premultiplied, its edges cleaned"),
    Output("Gain", "gain", VECTOR, "The change of light per channel, in stops; 0 changes nothing"),
    Output("Fill", "fill", COLOR, "Light that is added where the plate is too dark for a gain"),
    Output("Shadow", "shadow", NUMBER, "What the subject's shadow leaves of the background; 1 is none"),
    Output("Confidence", "confidence", NUMBER, "How far the change of light can be trusted, 0 to 1"),
    Output("Normal", "normal", VECTOR, "Which way the subject's surface faces"),
    Output("Albedo", "albedo", COLOR, "The subject's own colour, without light"),
    Output("Depth", "depth", NUMBER, "Distance from the camera"),
    Output("Model", "model", COLOR, "What the engine itself painted, to compare with"),
    Output("Delivered", "", NUMBER, "1 on frames that are delivered, 0 on frames that are not"),
)

MAIN_LAYERS = ("composite", "background", "relit", "alpha")
AUX_LAYERS = ("foreground", "gain", "fill", "shadow", "confidence", "normal", "albedo", "depth", "model")
# Without all of these nothing can be rebuilt, so the dials would do nothing and are not offered. A layer of one value
# is delivered whole, so a file with one of them has them all, unless the recipe left some out.
REBUILT_FROM = ("background", "alpha", "foreground", "gain", "fill", "shadow")

DIALS = (
    Dial("Gain Amount", NUMBER, 1.0, 0.0, 2.0, "How much of the change of light: 0 is the plate's own, 2 is twice"),
    Dial("Exposure", NUMBER, 0.0, -10.0, 10.0, "Brightens or darkens the relit subject, in stops"),
    Dial("Fill Amount", NUMBER, 1.0, 0.0, 2.0, "How much of the added light"),
    Dial("Shadow Amount", NUMBER, 1.0, 0.0, 2.0, "How strong the subject's shadow on the background is"),
    Dial("Edge", NUMBER, 1.0, 0.25, 4.0, "Exponent of the matte: above 1 draws soft edges in, below 1 lets them out"),
    Dial(
        "Background On",
        NUMBER,
        1.0,
        0.0,
        1.0,
        "0 leaves the subject and its shadow over nothing, to be put over any picture",
    ),
    Dial(
        "Replace Background",
        NUMBER,
        0.0,
        0.0,
        1.0,
        "1 takes the picture at Background Image instead of the delivered one",
    ),
    Dial(
        "Background Image", COLOR, (0.0, 0.0, 0.0, 1.0), description="A background of your own, for Replace Background"
    ),
)
