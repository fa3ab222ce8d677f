"""The jobs in the headers of the three editors: a ring while some run, and the list behind a click."""

from __future__ import annotations

from .. import pump

HEADERS = {
    "NODE_HT_header": "PLATELIGHT_PT_node_header",
    "CLIP_HT_header": "PLATELIGHT_PT_clip_header",
    "SEQUENCER_HT_header": "PLATELIGHT_PT_strip_header",
}


def drawer(popover: str):
    """What is appended to an editor's header; `popover` is the panel with the jobs."""

    def draw_header(self, context):
        tree = getattr(context.space_data, "tree_type", "CompositorNodeTree")
        running = [view for view in pump.session.jobs.values() if not view.ended and view.status is not None]
        if not running or tree != "CompositorNodeTree":
            return
        share = sum(view.share for view in running) / len(running)
        row = self.layout.row(align=True)
        row.progress(factor=share, type="RING", text=f"{share:.0%}")
        row.popover(popover, text="")

    return draw_header


DRAWERS = {header: drawer(popover) for header, popover in HEADERS.items()}
