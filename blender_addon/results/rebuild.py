"""The composite rebuilt from its layers, in nodes, so that the light can be regraded without rendering again.

    e         = max(alpha, EDGE_FLOOR) ^ (edge - 1)                    1 where the dial stands at 1
    relit     = (foreground · 2^(gain · gain amount) + alpha · fill · fill amount) · 2^exposure · e
    behind    = (1 - alpha · e) · max(0, 1 + (shadow - 1) · shadow amount)
    composite = relit + behind · background · on, its alpha 1 - behind · (1 - on)

With every dial at its default that is what was delivered. With the background off the alpha holds the shadow too:
`composite + (1 - alpha) · any background` is then the same shot in front of that background.

A gain per channel holds only in the primaries that it was found in. Blender has taken the foreground into its working
space, so it goes back into the plate's space for the multiplication, and the product comes out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bpy.types import NodeSocket

from .wiring import Wiring

# Smallest alpha that Edge works with: below 1 the exponent is negative, and 0 to a negative power is infinite.
EDGE_FLOOR = 1.0 / 4096.0


@dataclass(frozen=True)
class Rebuilt:
    """What the dials change: colour sockets premultiplied, in the working space."""

    image: NodeSocket
    relit: NodeSocket
    alpha: NodeSocket


def rebuild(
    wiring: Wiring, layers: Mapping[str, NodeSocket], dials: Mapping[str, NodeSocket], colorspace: str | None
) -> Rebuilt:
    """Wires the formula above.

    layers      at least those of `REBUILT_FROM`, by name
    dials       by name
    colorspace  the plate's, as Blender calls it; `None` where this Blender has no such space
    """
    lit = _lit_foreground(wiring, layers, dials["Gain Amount"], colorspace)
    wiring.stage("Edge and level", 3)
    alpha = layers["alpha"]
    edge = wiring.math("POWER", wiring.math("MAXIMUM", alpha, EDGE_FLOOR), wiring.math("SUBTRACT", dials["Edge"], 1.0))
    level = wiring.product(wiring.math("POWER", 2.0, dials["Exposure"]), edge)
    matte = wiring.product(alpha, edge)
    added = wiring.product(alpha, dials["Fill Amount"])
    wiring.stage("Relit = (foreground · 2^gain + alpha · fill) · level", 3)
    fill = wiring.channels(layers["fill"])
    sums = [wiring.math("MULTIPLY_ADD", part, added, base) for part, base in zip(fill, lit, strict=True)]
    relit = [wiring.product(channel, level) for channel in sums]
    relit_color = wiring.color(*relit, matte)
    return Rebuilt(_over(wiring, layers, dials, relit, matte), relit_color, matte)


def _lit_foreground(
    wiring: Wiring, layers: Mapping[str, NodeSocket], amount: NodeSocket, colorspace: str | None
) -> tuple[NodeSocket, NodeSocket, NodeSocket]:
    """The foreground multiplied by the gain, in the plate's primaries; back in the working space."""
    wiring.stage("Foreground · 2^gain", 3)
    foreground = layers["foreground"]
    if colorspace:
        foreground = wiring.converted(foreground, into=colorspace)
    stops = [wiring.product(channel, amount) for channel in wiring.channels(layers["gain"])]
    factors = [wiring.math("POWER", 2.0, channel) for channel in stops]
    pairs = zip(wiring.channels(foreground), factors, strict=True)
    lit = [wiring.product(channel, factor) for channel, factor in pairs]
    if not colorspace:
        return lit[0], lit[1], lit[2]
    return wiring.channels(wiring.converted(wiring.color(*lit, 1.0), out_of=colorspace))


def _over(
    wiring: Wiring,
    layers: Mapping[str, NodeSocket],
    dials: Mapping[str, NodeSocket],
    relit: list[NodeSocket],
    matte: NodeSocket,
) -> NodeSocket:
    """The relit subject in front of the background, which its shadow dims."""
    wiring.stage("Composite = relit + (1 - alpha) · background · shadow", 3)
    shade = wiring.math("MULTIPLY_ADD", wiring.math("SUBTRACT", layers["shadow"], 1.0), dials["Shadow Amount"], 1.0)
    behind = wiring.product(wiring.math("SUBTRACT", 1.0, matte), wiring.math("MAXIMUM", shade, 0.0))
    on = dials["Background On"]
    seen = wiring.product(behind, on)
    own, kept = dials["Replace Background"], wiring.math("SUBTRACT", 1.0, dials["Replace Background"])
    sums = []
    for subject, delivered, other in zip(
        relit, wiring.channels(layers["background"]), wiring.channels(dials["Background Image"]), strict=True
    ):
        background = wiring.math("MULTIPLY_ADD", other, own, wiring.product(delivered, kept))
        sums.append(wiring.math("MULTIPLY_ADD", background, seen, subject))
    alpha = wiring.math("SUBTRACT", 1.0, wiring.product(behind, wiring.math("SUBTRACT", 1.0, on)))
    return wiring.color(*sums, alpha)
