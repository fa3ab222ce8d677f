"""The colour of a black body as Cycles has it. No `bpy` here.

Cycles fits Planck's law in Rec.709 at a luminance of 1, and cuts off what is negative. The table was read from Blender
5.2 (`light.temperature_color`); between its rows the colour is linear in 1 / kelvin, which is within 0.6 %.
"""

from __future__ import annotations

from bisect import bisect_right

TABLE = (
    (800.0, (5.4139, 0.0, 0.0)),
    (960.0, (4.7485, 0.0, 0.0)),
    (970.0, (4.7117, 0.0062, 0.0)),
    (1010.0, (4.5656, 0.0497, 0.0)),
    (1060.0, (4.3937, 0.1008, 0.0)),
    (1170.0, (4.0515, 0.2024, 0.0)),
    (1330.0, (3.6301, 0.3269, 0.0)),
    (1900.0, (2.6386, 0.6136, 0.0)),
    (1940.0, (2.5906, 0.6272, 0.0078)),
    (2000.0, (2.5201, 0.6469, 0.0204)),
    (2110.0, (2.4016, 0.6796, 0.0447)),
    (2220.0, (2.2951, 0.7086, 0.0701)),
    (2340.0, (2.1907, 0.7368, 0.0991)),
    (2430.0, (2.1194, 0.7557, 0.1216)),
    (2550.0, (2.0325, 0.7785, 0.1523)),
    (2710.0, (1.929, 0.8051, 0.1944)),
    (2930.0, (1.806, 0.8357, 0.2534)),
    (3090.0, (1.7281, 0.8545, 0.2964)),
    (3320.0, (1.6299, 0.8782, 0.3572)),
    (3560.0, (1.5434, 0.8968, 0.4214)),
    (3870.0, (1.449, 0.9166, 0.5012)),
    (4370.0, (1.3275, 0.9405, 0.6226)),
    (5150.0, (1.1907, 0.9644, 0.7933)),
    (5790.0, (1.1104, 0.9758, 0.9162)),
    (6750.0, (1.0233, 0.9858, 1.073)),
    (8230.0, (0.9363, 0.9923, 1.2633)),
    (12000.0, (0.8263, 0.9945, 1.5663)),
)


def blackbody(kelvin: float) -> tuple[float, float, float]:
    """Scene-linear Rec.709 of luminance 1; below 800 K and above 12000 K it is that of those, as in Cycles."""
    kelvin = min(max(kelvin, TABLE[0][0]), TABLE[-1][0])
    at = min(bisect_right(TABLE, kelvin, key=lambda row: row[0]), len(TABLE) - 1)
    (cold, before), (hot, after) = TABLE[at - 1], TABLE[at]
    share = (1 / cold - 1 / kelvin) / (1 / cold - 1 / hot)
    red, green, blue = (a + (b - a) * share for a, b in zip(before, after, strict=True))
    return red, green, blue
