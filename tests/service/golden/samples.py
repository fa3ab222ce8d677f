"""One sample of each message. `python -m tests.service.golden.samples` writes the golden bytes anew: do so only when
the protocol was meant to change, and say so in `shared/PROTOCOL.md`."""

from __future__ import annotations

from pathlib import Path

from platelight import messages as m
from platelight.wire import encode_frames

GOLDEN = Path(__file__).parent
JOB, BLOB = "0123456789abcdef", "blake3:" + "ab" * 32
STATUS = m.JobStatus(
    JOB, "sh010", "running", "1001-1048", 48, 12, 1, 70, 0, "pause", 1_790_000_000.25, "ana@ws3", 2, 17, "denoise", 3,
    20, 61.5, "", "", "shows:sh010/out",
)  # fmt: skip
RESULT = m.JobResult(
    40, 7, (m.FrameFailure(1007, "plate.1007.exr: damaged"),), "1007", ("bit-exact",),
    (m.Advice("the light is a guess", ("look.exposure_stops",)),), "shows:sh010/out",
)  # fmt: skip
PROBLEM = m.Problem("RecipeError", "look.strength: expected 0 to 2, got 3", "look.strength")
WELCOME = m.Welcome(
    "h1", 1, "0.1.0", "5a5a", "gpu01", 1 << 20, 16, 100, 2.0, 8.0, ("blake3",), (m.RootEntry("shows", "/s", False),), 4
)
SAMPLES: tuple[m.Message, ...] = (
    m.Hello("h1", 1, 1, "platelight", "0.1.0", "ws3", "ana", 4711),
    m.Ping("p1"),
    m.EnginesAsked("e1"),
    m.Check("c1", "", "shows:sh010", "", "1001-1010"),
    m.Submit("s1", BLOB, "shows:sh010", BLOB, "sh010-v003", "1001-1010", 80, True),
    m.PreviewAsked("v1", "", "shows:sh010", "", 1001, 640, ("composite", "gain"), 16),
    m.JobsAsked("j1", JOB, ("queued", "running")),
    m.JobAsked("j2", JOB),
    m.Watch("w1", JOB, 17),
    m.Unwatch("w2", "*"),
    m.Change("x1", JOB, "priority", 90),
    m.Have("b1", BLOB, 70_778_880),
    m.Put("b2", BLOB, 1 << 20),
    m.FilesAsked("f1", JOB, "sh010.1001.exr"),
    m.Get("g1", JOB, "sh010.1001.exr", 1 << 20, 4),
    m.Credit("g1", 2),
    m.Stop("g1"),
    WELCOME,
    m.Pong("p1", "5a5a", 3, 1, (m.WorkerStatus("render-0", "busy", "cuda:0", "H100", 80 << 30, 20 << 30, JOB),)),
    m.Engines("e1"),
    m.Working("c1", "working"),
    m.Checked("c1", (PROBLEM,), ("no probe",), 10, 5, 12.5, 1 << 30, 1 << 31),
    m.Accepted("s1", JOB, False, 2, ("no probe",)),
    m.Told("j2", STATUS, JOB, RESULT),
    m.Listed("j1", (STATUS,), True),
    m.Watching("w1", JOB),
    m.Event("w1", JOB, 18, "done", 1013, 13, 48, "", "", 1_790_000_000.5),
    m.Had("b1", "partial", 1 << 20),
    m.PutOk("b2", 2 << 20, True),
    m.Named("f1", (m.NamedFile("sh010.1001.exr", 757_265),), True),
    m.Sending("g1", 757_265),
    m.Previewed("v1", 1001, 640, 360, ("R", "G", "B", "A"), "Linear Rec.709", ("no probe",), 41.5, 1_843_200),
    m.Data("g1", 1 << 20, True),
    m.Refused("s1", "BAD_INPUT", "look.strength: expected 0 to 2, got 3", False, 0.5, (PROBLEM,)),
    m.Bye("", "the server stops"),
)


def write() -> None:
    """Writes every sample's header."""
    for direction, table in (("requests", m.REQUESTS), ("answers", m.ANSWERS)):
        (GOLDEN / direction).mkdir(exist_ok=True)
        for sample in SAMPLES:
            if type(sample) in table.values():
                path = GOLDEN / direction / f"{m.NAMES[type(sample)]}.msgpack"
                path.write_bytes(bytes(encode_frames(sample)[0]))


if __name__ == "__main__":
    write()
