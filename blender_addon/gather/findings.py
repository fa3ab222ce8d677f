"""What is said about a shot: problems, each one sentence with what to do, and badges for the panel. No `bpy` here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Level = Literal["stop", "note"]


@dataclass(frozen=True)
class Problem:
    """One sentence that says what is wrong and what to do.

    `fix` names what helps: an operator where it has a dot in it (`wm.save_as_mainfile`), else a setting of the shot
    (`plate_clip`), empty where nothing in Blender does. A `stop` keeps the shot from being sent, a `note` does not.
    """

    text: str
    fix: str = ""
    level: Level = "stop"


@dataclass(frozen=True)
class Badge:
    """One of the shot's inputs in the panel: `plate ✓ ACEScg`, `camera ✓ 0.42 px`. `state` is ok, missing or off."""

    name: str
    state: Literal["ok", "missing", "off"]
    text: str = ""


class Stopped(Exception):
    """Ends the reading of one input whose problem was told; the other inputs are still looked at."""


@dataclass
class Findings:
    """Collects problems and badges while a shot is read."""

    problems: list[Problem] = field(default_factory=list)
    badges: list[Badge] = field(default_factory=list)

    def note(self, text: str, fix: str = "") -> None:
        """Tells what the artist should know; the shot can be sent all the same. The same sentence is told once."""
        self._add(Problem(text, fix, "note"))

    def problem(self, text: str, fix: str = "") -> None:
        """Tells what keeps the shot from being sent."""
        self._add(Problem(text, fix))

    def stop(self, text: str, fix: str = "") -> Stopped:
        """Tells a problem; to be raised: `raise findings.stop(...)`."""
        self.problem(text, fix)
        return Stopped(text)

    def badge(self, name: str, state: Literal["ok", "missing", "off"], text: str = "") -> None:
        """Sets an input's badge."""
        self.badges.append(Badge(name, state, text))

    @property
    def stopped(self) -> bool:
        """Whether anything keeps the shot from being sent."""
        return any(problem.level == "stop" for problem in self.problems)

    def _add(self, problem: Problem) -> None:
        if problem not in self.problems:
            self.problems.append(problem)
