"""What the operators share: an error is one sentence, reported; a shot is needed; a server is needed."""

from __future__ import annotations

from .. import pump
from ..core import InputError, PlatelightError
from ..desk import sentence
from ..settings import active_shot


class Reporting:
    """Reports what goes wrong as one sentence: in the status bar, and as an exception to a script."""

    bl_options = {"REGISTER"}

    def execute(self, context):
        """Called by Blender; what is done is in `do`, which returns None or a set of Blender's."""
        try:
            return self.do(context) or {"FINISHED"}
        except (PlatelightError, OSError) as error:
            self.report({"ERROR"}, sentence(error) if isinstance(error, PlatelightError) else str(error))
            return {"CANCELLED"}


class OfShot(Reporting):
    """Needs a shot, and says so."""

    @classmethod
    def poll(cls, context):
        """Whether the button can be pressed."""
        if active_shot(context.scene) is None:
            cls.poll_message_set("There is no shot yet: add one.")
            return False
        return True


def require_server(wait: bool, timeout_s: float) -> None:
    """Raises `InputError` where no server answers; `wait` gives it up to 20 s to."""
    if wait:
        pump.wait_until(lambda: pump.session.is_up, min(timeout_s, 20.0))
    if not pump.session.is_up:
        raise InputError(f"The server does not answer: {pump.session.words}.")
