"""A layout that draws nothing and believes nothing: properties, operators and icons are looked up in Blender."""

from __future__ import annotations

import bpy

ICONS = set(bpy.types.UILayout.bl_rna.functions["prop"].parameters["icon"].enum_items.keys())


class Properties:
    """What `operator()` gives back: only properties that the operator has can be set."""

    def __init__(self, name: str) -> None:
        module, _, function = name.partition(".")
        kind = getattr(bpy.types, f"{module.upper()}_OT_{function}", None)
        rna = getattr(getattr(bpy.ops, module), function).get_rna_type()
        object.__setattr__(self, "known", set(rna.properties.keys()))
        object.__setattr__(self, "kind", kind)

    def __setattr__(self, name: str, value: object) -> None:
        assert name in self.known, f"the operator has no property {name}"


class FakeLayout:
    """In place of `UILayout`; `said` is what was drawn, as text."""

    def __init__(self, said: list[str] | None = None) -> None:
        self.said = [] if said is None else said
        self.alert, self.enabled, self.operator_context = False, True, "EXEC_DEFAULT"

    def _inside(self, **_: object) -> FakeLayout:
        return FakeLayout(self.said)

    row = column = box = grid_flow = split = _inside

    def label(self, text: str = "", icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        assert isinstance(text, str)
        self.said.append(text)

    def prop(self, data: object, name: str, text: str | None = None, icon: str = "NONE", index: int = -1) -> None:
        assert icon in ICONS, icon
        if name.startswith('["'):
            assert name[2:-2] in data, name  # type: ignore[operator]
            assert index < 0 or index < len(data[name[2:-2]]), name  # type: ignore[index]
        else:
            assert name in data.bl_rna.properties, f"{data.bl_rna.identifier} has no {name}"  # type: ignore[attr-defined]
            assert data.bl_rna.properties[name].description, f"{name} has no description"  # type: ignore[attr-defined]
        self.said.append(name)

    def operator(self, name: str, text: str | None = None, icon: str = "NONE", depress: bool = False) -> Properties:
        assert icon in ICONS, icon
        self.said += [name] if text is None else [name, text]
        return Properties(name)

    def menu(self, name: str, text: str | None = None, icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        assert issubclass(getattr(bpy.types, name), bpy.types.Menu), name
        self.said += [name] if text is None else [name, text]

    def popover(self, panel: str, text: str | None = None, icon: str = "NONE") -> None:
        assert icon in ICONS, icon
        assert issubclass(getattr(bpy.types, panel), bpy.types.Panel), panel
        self.said.append(panel)

    def separator(self) -> None:
        pass

    def progress(self, factor: float = 0.0, type: str = "BAR", text: str = "") -> None:
        assert 0.0 <= factor <= 1.0 and type in ("BAR", "RING")
        self.said.append(text)

    def template_list(
        self, kind: str, id: str, data: object, name: str, active: object, active_name: str, rows: int = 5
    ) -> None:
        assert hasattr(bpy.types, kind)
        for owner, one in ((data, name), (active, active_name)):
            assert one in owner.bl_rna.properties  # type: ignore[attr-defined]
        self.said.append(name)
