"""The engine chooser and the engine's options, drawn from what the server describes."""

from __future__ import annotations

from .. import pump
from ..engine_options import engine_of, is_point, label_of, options_of_engine, value_of

SHORT_CHOICE = 3


def draw_engine(layout, shot):
    """Which engine, what must be known of it, and its options."""
    engines = pump.session.engines
    if not engines:
        layout.prop(shot, "engine")
        return
    layout.menu("PLATELIGHT_MT_engine", text=f"Engine: {shot.engine}")
    engine = engine_of(shot)
    if engine is None:
        names = ", ".join(str(one.get("name")) for one in engines)
        layout.label(text=f"The server has {names}", icon="ERROR")
        return
    for licence in engine.get("licences", ()):
        if not licence.get("commercial"):
            layout.label(text=f"{licence.get('model')}: not for commercial use", icon="ERROR")
    for option in options_of_engine(shot):
        draw_option(layout, shot, option)


def draw_option(layout, shot, option):
    """An option: its value, and a button that sets it or goes back to the default."""
    name, kind, held = str(option.get("name")), option.get("kind"), shot.engine_options
    is_set, label = name in held, label_of(option)
    column = layout.column(align=True)
    row = column.row(align=True)
    if kind == "choice" or option.get("choices"):
        _draw_choices(row, shot, option, label)
    elif not is_set:
        row.label(text=f"{label}: {_said(option.get('default'))}")
    elif kind == "floats":
        row.label(text=label)
        _draw_parts(column, shot, option)
    else:
        row.prop(held, f'["{name}"]', text=label + (f" ({option['unit']})" if option.get("unit") else ""))
    if is_point(option):
        row.operator("platelight.pick", text="Pick", icon="EYEDROPPER").option = name
    if is_set or kind != "choice":
        row.operator("platelight.option", text="", icon="X" if is_set else "GREASEPENCIL").name = name


def _draw_choices(row, shot, option, label):
    now, choices = str(value_of(shot, option)), option.get("choices", ())
    row.label(text=label)
    if len(choices) > SHORT_CHOICE:
        row.label(text=now)
    for choice in choices:
        button = row.operator("platelight.option", text=str(choice), depress=str(choice) == now)
        button.name, button.value = str(option.get("name")), str(choice)


def _draw_parts(layout, shot, option):
    name = str(option.get("name"))
    parts = tuple(option.get("parts", ()))
    for index in range(len(shot.engine_options[name])):
        text = parts[index].capitalize() if index < len(parts) else ""
        layout.prop(shot.engine_options, f'["{name}"]', index=index, text=text)


def _said(default) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, (list, tuple)):
        return ", ".join(map(str, default)) or "none"
    return str(default)
