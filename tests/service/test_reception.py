"""Reception, foreman and queue, without sockets: sessions, queue, watches, credits, and what clients do wrong."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import blake3
import pytest

from platelight import messages as m
from platelight.wire import CHUNK, TOGETHER, encode_frames
from platelight_server.service.link import Ended, Looked, Report
from platelight_server.service.reception import FORGET_S, OUTSTANDING_MOST, SESSIONS_MOST, SILENT_S
from platelight_server.service.sessions import NOTICES_MOST
from tests.service.inprocess import Desk

A, B = b"a", b"b"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    found = Desk(tmp_path)
    found.hello(A)
    found.hello(B)
    return found


def blob_of(data: bytes) -> str:
    return f"blake3:{blake3.blake3(data).hexdigest()}"


def the(answers: list[m.Message]) -> m.Message:
    assert len(answers) == 1, answers
    return answers[0]


def refused(answers: list[m.Message]) -> m.Refused:
    answer = the(answers)
    assert isinstance(answer, m.Refused)
    return answer


def state(desk: Desk, job: str) -> str:
    return desk.foreman.jobs.get(job).status.state


def finish(desk: Desk, how: str = "done", **more: object) -> None:
    task = desk.task_of("render")
    assert task is not None
    desk.tell(task[0], Ended(id=task[1].id, state=how, result=m.JobResult(rendered=4), **more))  # type: ignore[arg-type]


def test_nothing_is_answered_before_hello(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert refused(desk.ask(A, m.Ping("p"))).code == "NO_SESSION"


def test_versions_without_overlap_are_refused_with_a_sentence(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    answer = refused(desk.ask(A, m.Hello("h", 2, 3)))
    assert answer.code == "VERSION"
    assert "expected protocol version 1, the client speaks 2 to 3; update the server" in answer.text


def test_a_silent_session_is_forgotten_and_its_job_goes_on(desk: Desk) -> None:
    job = desk.submit(A, "k")
    desk.time += FORGET_S + 1
    desk.beat()
    desk.turn()
    assert desk.reception.sessions == 0
    assert refused(desk.ask(A, m.Ping("p"))).code == "NO_SESSION"
    assert state(desk, job) == "preparing"


def test_the_same_key_is_the_same_job(desk: Desk) -> None:
    first = desk.submit(A, "k")
    again = the(desk.ask(B, m.Submit("again", key="k"), b"recipe"))
    assert again == m.Accepted("again", first, False)
    other = refused(desk.ask(B, m.Submit("other", key="k"), b"another recipe"))
    assert other.code == "KEY_REUSED"
    assert len(desk.foreman.jobs) == 1


def test_the_same_key_while_its_check_runs_is_the_same_job(desk: Desk) -> None:
    desk.ask(A, m.Submit("1", key="k"), b"recipe")
    desk.ask(B, m.Submit("2", key="k"), b"recipe")
    desk.play_checks()
    accepted = {one.id: one for ident in (A, B) for one, _ in desk.said[ident] if isinstance(one, m.Accepted)}
    assert accepted["1"].new and not accepted["2"].new
    assert accepted["1"].job == accepted["2"].job


def test_a_refused_recipe_leaves_nothing_and_its_key_can_be_used_again(desk: Desk) -> None:
    problem = m.Problem("RecipeError", "plate: nothing there", "plate")
    desk.ask(A, m.Submit("1", key="k"), b"recipe")
    desk.ask(B, m.Submit("2", key="k"), b"recipe")
    desk.play_checks([problem])
    for ident in (A, B):
        answer = desk.said[ident][-1][0]
        assert isinstance(answer, m.Refused) and answer.code == "BAD_INPUT" and answer.problems == (problem,)
    assert len(desk.foreman.jobs) == 0
    assert list((desk.folder / "spool" / "jobs").iterdir()) == []
    assert desk.submit(A, "k")


def test_a_full_queue_says_when_to_come_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, most_waiting=2)
    desk.hello(A)
    for i in range(3):  # one is taken by the worker, two wait
        assert desk.submit(A, f"k{i}")
    answer = refused(desk.ask(A, m.Submit("s", key="k9"), b"recipe"))
    assert (answer.code, answer.retry, answer.retry_after_s) == ("QUEUE_FULL", True, 30.0)


def test_an_unknown_job_is_not_found(desk: Desk) -> None:
    for message in (
        m.JobAsked("1", "0" * 16),
        m.Watch("2", "0" * 16),
        m.Change("3", "0" * 16),
        m.FilesAsked("4", "0" * 16),
    ):
        assert refused(desk.ask(A, message)).code == "NOT_FOUND"


def test_higher_priorities_run_first_and_equal_ones_in_order(desk: Desk) -> None:
    running = desk.submit(A, "running")
    jobs = {key: desk.submit(A, key, priority=priority) for key, priority in (("x", 50), ("y", 50), ("z", 80))}
    assert [desk.foreman.jobs.status(desk.foreman.jobs.get(jobs[key])).position for key in "zxy"] == [0, 1, 2]
    desk.ask(A, m.Change("c", jobs["y"], "priority", 99))
    order = []
    for _ in range(4):
        task = desk.task_of("render")
        assert task is not None
        order.append(task[1].job)
        finish(desk)
    assert order == [running, jobs["y"], jobs["z"], jobs["x"]]


def test_jobs_that_write_the_same_frames_do_not_run_at_once(desk: Desk) -> None:
    jobs = desk.foreman.jobs
    first, second = desk.submit(A, "1"), desk.submit(A, "2")
    taken = jobs.get(first)
    other = jobs.get(second)
    object.__setattr__(other.order, "lane", taken.order.lane)
    assert jobs.take("render-9") is None
    finish(desk)
    assert state(desk, second) == "preparing"


def test_cancel_pause_resume_retry(desk: Desk) -> None:
    running, waiting = desk.submit(A, "1"), desk.submit(A, "2")
    assert isinstance(the(desk.ask(A, m.Change("a", waiting, "cancel"))), m.Told)
    assert state(desk, waiting) == "cancelled"
    assert isinstance(the(desk.ask(A, m.Change("b", waiting, "retry"))), m.Told)
    assert state(desk, waiting) == "queued"
    desk.ask(A, m.Change("c", waiting, "pause"))
    assert state(desk, waiting) == "paused"
    desk.ask(A, m.Change("d", running, "pause"))
    task = desk.task_of("render")
    assert task is not None and task[1].id in desk.stopped
    assert desk.foreman.jobs.get(running).status.wish == "pause"
    finish(desk, "cancelled")
    assert state(desk, running) == "paused"
    desk.ask(A, m.Change("e", running, "resume"))
    assert state(desk, running) == "preparing"
    desk.ask(A, m.Change("f", running, "cancel"))
    finish(desk, "cancelled")
    assert state(desk, running) == "cancelled"
    assert refused(desk.ask(A, m.Change("g", running, "pause"))).code == "WRONG_STATE"
    assert the(desk.ask(A, m.Change("h", running, "forget"))) == m.Told("h", None, running)
    assert refused(desk.ask(A, m.JobAsked("i", running))).code == "NOT_FOUND"


def test_resume_while_a_pause_is_on_its_way(desk: Desk) -> None:
    job = desk.submit(A, "1")
    desk.ask(A, m.Change("a", job, "pause"))
    desk.ask(A, m.Change("b", job, "resume"))
    finish(desk, "cancelled")
    assert state(desk, job) == "preparing"  # queued, and taken again at once


def test_a_job_whose_worker_dies_is_taken_again_and_given_up_after_three_deaths(desk: Desk) -> None:
    job = desk.submit(A, "1")
    for death in range(3):
        assert state(desk, job) == "preparing", death
        desk.kill_worker("render")
        if death < 2:
            assert state(desk, job) == "queued"
        desk.revive()
    status = desk.foreman.jobs.get(job).status
    assert (status.state, status.code) == ("failed", "WORKER_CRASH")
    desk.hello(A)
    desk.ask(A, m.Change("r", job, "retry"))
    assert state(desk, job) == "preparing"


def test_deaths_with_finished_frames_in_between_do_not_count_together(desk: Desk) -> None:
    job = desk.submit(A, "1")
    for done in range(5):
        desk.frame_done(1 + done % 4, 1)
        desk.kill_worker("render")
        desk.revive()
    assert state(desk, job) == "preparing"


def test_a_worker_that_was_given_up_is_not_listened_to(desk: Desk) -> None:
    job = desk.submit(A, "1")
    old = desk.task_of("render")
    assert old is not None
    desk.kill_worker("render")
    desk.revive()
    new = desk.task_of("render")
    assert new is not None and new[1].epoch == old[1].epoch + 1
    events = desk.foreman.jobs.get(job).status.events
    desk.tell(old[0], Report(id=old[1].id, kind="done", frame=1, done=1, total=4))
    desk.tell(old[0], Ended(id=old[1].id, state="done", result=m.JobResult(rendered=4)))
    desk.tell(new[0], Ended(id=old[1].id, state="done", result=m.JobResult(rendered=4)))
    assert (state(desk, job), desk.foreman.jobs.get(job).status.events) == ("preparing", events)


def test_a_silent_worker_is_replaced_within_fifteen_seconds(desk: Desk) -> None:
    job = desk.submit(A, "1")
    desk.frame_done(1, 1)
    worker = desk.crew.of("render")[0]
    identity, began = worker.identity, desk.time
    while worker.identity == identity and desk.time < began + 30:
        desk.time += 0.5
        desk.turn(1)
    assert desk.time - began < 15
    assert desk.foreman.jobs.get(job).status.state == "queued"


def test_events_are_numbered_without_gaps_and_come_once(desk: Desk) -> None:
    job = desk.submit(A, "1")
    desk.ask(B, m.Watch("w", job))
    for frame in (1, 2, 3, 4):
        desk.frame_done(frame, frame)
    finish(desk)
    desk.time += 1
    desk.beat()
    desk.turn()
    events = [one for one, _ in desk.said[B] if isinstance(one, m.Event)]
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.frame for event in events if event.kind == "done"] == [1, 2, 3, 4]
    last = desk.said[B][-1][0]
    assert isinstance(last, m.Told) and last.result is not None and last.status is not None
    assert last.status.state == "done"
    some = desk.ask(A, m.Watch("later", job, 3))
    assert [one.number for one in some if isinstance(one, m.Event)] == list(range(4, len(events) + 1))


def test_a_client_that_does_not_read_holds_up_nothing_and_misses_nothing(desk: Desk) -> None:
    job = desk.submit(A, "1")
    desk.ask(B, m.Watch("w", job))
    desk.refuses.add(B)
    task = desk.task_of("render")
    assert task is not None
    for i in range(1000):
        desk.crew.heard(task[0], Report(id=task[1].id, kind="done", frame=i, done=i, total=1000), None)
        desk.time += 0.01
        desk.turn(1)
    session = desk.reception._sessions[B]
    assert len(session.outbox) <= 2 * NOTICES_MOST
    assert isinstance(the(desk.ask(A, m.Ping("p"))), m.Pong)
    desk.refuses.clear()
    desk.turn(30)
    numbers = [one.number for one, _ in desk.said[B] if isinstance(one, m.Event)]
    assert numbers == list(range(1, desk.foreman.jobs.get(job).status.events + 1))


def test_events_survive_a_restart(desk: Desk) -> None:
    job = desk.submit(A, "1")
    desk.frame_done(1, 1)
    desk.frame_done(2, 2)
    before = [event.number for event in desk.foreman.jobs.get(job).held]
    desk.end()
    desk.start()
    desk.hello(A)
    events = [one for one in desk.ask(A, m.Watch("w", job)) if isinstance(one, m.Event)]
    numbers = [event.number for event in events]
    assert numbers == list(range(1, len(numbers) + 1)) and len(numbers) > len(before)
    assert "started anew" in " ".join(event.text for event in events)


def test_the_queue_can_be_watched_by_several(desk: Desk) -> None:
    for ident in (A, B):
        desk.ask(ident, m.Watch("all", "*"))
    job = desk.submit(A, "1")
    desk.time += 1
    desk.turn()
    for ident in (A, B):
        told = [one for one, _ in desk.said[ident] if isinstance(one, m.Told) and one.id == "all"]
        assert told and told[-1].status is not None and told[-1].status.job == job


def test_too_many_unanswered_requests_are_refused(desk: Desk) -> None:
    for i in range(OUTSTANDING_MOST):
        desk.ask(A, m.Check(f"c{i}"), b"recipe")
    assert refused(desk.ask(A, m.Ping("p"))).code == "BUSY"
    assert isinstance(the(desk.ask(B, m.Ping("p"))), m.Pong)
    desk.play_checks()
    assert isinstance(the(desk.ask(A, m.Ping("q"))), m.Pong)


def test_an_id_in_use_is_refused(desk: Desk) -> None:
    desk.ask(A, m.Check("c"), b"recipe")
    assert desk.ask(A, m.Check("c"), b"recipe") == []  # an answer with that id would be taken for the first one's
    last = desk.said[A][-1][0]
    assert isinstance(last, m.Refused) and (last.id, last.code) == ("", "BAD_MESSAGE") and "is in use" in last.text
    desk.play_checks()
    assert isinstance(desk.said[A][-1][0], m.Checked)


def test_stop_ends_a_check_that_has_not_begun(desk: Desk) -> None:
    desk.ask(A, m.Check("first"), b"recipe")
    desk.ask(A, m.Check("second"), b"recipe")
    assert refused(desk.ask(A, m.Stop("second"))).code == "CANCELLED"
    desk.play_checks()
    kinds = [type(one) for one, _ in desk.said[A] if one.id == "second"]
    assert kinds == [m.Refused]


def test_a_forbidden_path_is_told_apart(desk: Desk) -> None:
    desk.ask(A, m.Submit("s", key="k"), b"recipe")
    task = desk.task_of("check")
    assert task is not None
    problem = m.Problem("ForbiddenPathError", "/etc/passwd: outside the roots (shows = /mnt/shows)")
    desk.tell(task[0], Looked(id=task[1].id, problems=(problem,), forbidden=True))
    answer = desk.said[A][-1][0]
    assert isinstance(answer, m.Refused) and answer.code == "FORBIDDEN_PATH" and "shows = /mnt/shows" in answer.text


def test_an_upload_goes_on_where_it_was_interrupted(desk: Desk) -> None:
    data = os.urandom(2 * CHUNK + 1000)
    blob = blob_of(data)
    assert the(desk.ask(A, m.Have("h", blob, len(data)))) == m.Had("h", "none", 0)
    assert the(desk.ask(A, m.Put("1", blob, 0), data[:CHUNK])) == m.PutOk("1", CHUNK)
    desk.end()
    desk.start()
    desk.hello(B)
    assert refused(desk.ask(B, m.Put("2", blob, CHUNK), data[CHUNK : 2 * CHUNK])).code == "NO_UPLOAD"
    assert the(desk.ask(B, m.Have("h2", blob, len(data)))) == m.Had("h2", "partial", CHUNK)
    assert refused(desk.ask(B, m.Put("3", blob, 2 * CHUNK), data[2 * CHUNK :])).code == "BAD_OFFSET"
    desk.ask(B, m.Put("4", blob, CHUNK), data[CHUNK : 2 * CHUNK])
    assert the(desk.ask(B, m.Put("5", blob, 2 * CHUNK), data[2 * CHUNK :])) == m.PutOk("5", len(data), True)
    assert desk.foreman.spool.path(blob).read_bytes() == data


def test_a_put_carries_several_chunks(desk: Desk) -> None:
    data = os.urandom((TOGETHER + 1) * CHUNK + 1000)
    blob = blob_of(data)
    pieces = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)]
    desk.ask(A, m.Have("h", blob, len(data)))
    assert the(desk.ask(A, m.Put("1", blob, 0), tuple(pieces[:TOGETHER]))) == m.PutOk("1", TOGETHER * CHUNK)
    assert refused(desk.ask(A, m.Put("2", blob, 0), tuple(pieces[TOGETHER:]))).code == "BAD_OFFSET"
    rest = m.Put("3", blob, TOGETHER * CHUNK)
    assert the(desk.ask(A, rest, tuple(pieces[TOGETHER:]))) == m.PutOk("3", len(data), True)
    assert desk.foreman.spool.path(blob).read_bytes() == data


def test_a_put_without_a_chunk_or_with_too_many_is_refused(desk: Desk) -> None:
    blob = blob_of(b"right")
    desk.ask(A, m.Have("h", blob, 5))
    assert refused(desk.ask(A, m.Put("1", blob, 0))).code == "BAD_MESSAGE"
    desk.say(A, encode_frames(m.Put("2", blob, 0), tuple([b"r"] * (TOGETHER + 1))))
    answer = desk.said[A][-1][0]
    assert isinstance(answer, m.Refused) and answer.code == "BAD_MESSAGE"


def test_wrong_bytes_are_thrown_away(desk: Desk) -> None:
    blob = blob_of(b"right")
    desk.ask(A, m.Have("h", blob, 5))
    assert refused(desk.ask(A, m.Put("p", blob, 0), b"wrong")).code == "HASH_MISMATCH"
    assert the(desk.ask(A, m.Have("h2", blob, 5))) == m.Had("h2", "none", 0)
    assert not desk.foreman.spool.path(blob).exists()


def test_a_full_spool_removes_what_nobody_needs_then_refuses(tmp_path: Path) -> None:
    desk = Desk(tmp_path, spool_bytes=3000)
    desk.hello(A)
    pieces = [os.urandom(1000) for _ in range(3)]
    for i, data in enumerate(pieces):
        desk.ask(A, m.Have(f"h{i}", blob_of(data), 1000))
        desk.ask(A, m.Put(f"p{i}", blob_of(data), 0), data)
    os.link(desk.foreman.spool.path(blob_of(pieces[0])), tmp_path / "a job needs it")
    more = os.urandom(2000)
    assert the(desk.ask(A, m.Have("more", blob_of(more), 2000))) == m.Had("more", "none", 0)
    assert desk.foreman.spool.path(blob_of(pieces[0])).exists()
    assert not desk.foreman.spool.path(blob_of(pieces[1])).exists()
    answer = refused(desk.ask(A, m.Have("too_much", blob_of(b"x" * 2500), 2500)))
    assert answer.code == "QUOTA" and "--spool-gb" in answer.text


@pytest.mark.parametrize(("old_chunks", "new_chunks"), [(30, 20), (20, 30)])
def test_an_old_blob_is_written_over_and_the_upload_goes_on_after_a_restart(
    tmp_path: Path, old_chunks: int, new_chunks: int
) -> None:
    """What is held is what has come, not what the old blob was; afterwards the spool is as full as it says."""
    desk = Desk(tmp_path, spool_bytes=40 * CHUNK)
    desk.hello(A)

    def put(data: bytes, chunks: range) -> m.Message:
        for i in chunks:
            piece = data[i * CHUNK : (i + 1) * CHUNK]
            answer = the(desk.ask(A, m.Put(f"p{i}", blob_of(data), i * CHUNK), piece))
        return answer

    old, new = os.urandom(old_chunks * CHUNK), os.urandom(new_chunks * CHUNK)
    desk.ask(A, m.Have("old", blob_of(old), len(old)))
    put(old, range(old_chunks))
    inode = desk.foreman.spool.path(blob_of(old)).stat().st_ino
    assert the(desk.ask(A, m.Have("new", blob_of(new), len(new)))) == m.Had("new", "none", 0)
    assert not desk.foreman.spool.path(blob_of(old)).exists()
    put(new, range(5))
    desk.end()
    desk.start()
    desk.hello(A)
    assert the(desk.ask(A, m.Have("again", blob_of(new), len(new)))) == m.Had("again", "partial", 5 * CHUNK)
    assert put(new, range(5, new_chunks)) == m.PutOk(f"p{new_chunks - 1}", len(new), True)
    path = desk.foreman.spool.path(blob_of(new))
    assert (path.read_bytes() == new, path.stat().st_ino) == (True, inode)
    assert list((desk.folder / "spool" / "held").iterdir()) == []
    files = [*(desk.folder / "spool" / "part").iterdir(), *(desk.folder / "spool" / "blobs").iterdir()]
    assert desk.foreman.spool._used == sum(one.stat().st_size for one in files)


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", "a\\b", "C:x", ".", "", "a//b", "./a", "a\0b", "/".join("abcdefghi")]
)
def test_names_of_uploads_that_lead_out_are_refused(desk: Desk, name: str) -> None:
    import msgpack

    listing = msgpack.packb({name: [blob_of(b"x"), 1]})
    desk.ask(A, m.Have("h", blob_of(listing), len(listing)))
    desk.ask(A, m.Put("p", blob_of(listing), 0), listing)
    answer = refused(desk.ask(A, m.Check("c", files=blob_of(listing)), b"recipe"))
    assert answer.code == "BAD_INPUT"


@pytest.mark.parametrize(
    "name", ["../jobs.sqlite", "/etc/passwd", "shot", "other.1001.exr", ".shot.json", "shot.\0", "shot./x"]
)
def test_only_files_of_the_result_can_be_fetched(desk: Desk, name: str) -> None:
    job = desk.submit(A, "1")
    desk.foreman.jobs.get(job).status = replace(desk.foreman.jobs.get(job).status, folder="shows:out")
    assert refused(desk.ask(A, m.Get("g", job, name))).code in ("NOT_FOUND", "BAD_MESSAGE")


def test_data_waits_for_credits(desk: Desk) -> None:
    job = desk.submit(A, "1")
    log = desk.folder / "spool" / "jobs" / job / "log"
    log.write_bytes(os.urandom(5 * CHUNK + 1))
    answers = desk.ask(A, m.Get("g", job, "log", 0, 2))
    assert [type(one) for one in answers] == [m.Sending, m.Data, m.Data]
    more = desk.ask(A, m.Credit("g", 1))
    assert [type(one) for one in more] == [m.Data]
    rest = desk.ask(A, m.Credit("g", 8))
    assert [one.last for one in rest if isinstance(one, m.Data)] == [False, False, True]
    got = b"".join(bytes(payload or b"") for one, payload in desk.said[A] if one.id == "g" and isinstance(one, m.Data))
    assert got == log.read_bytes()


def test_stop_ends_a_transfer(desk: Desk) -> None:
    job = desk.submit(A, "1")
    (desk.folder / "spool" / "jobs" / job / "log").write_bytes(bytes(5 * CHUNK))
    desk.ask(A, m.Get("g", job, "log", 0, 1))
    assert refused(desk.ask(A, m.Stop("g"))).code == "CANCELLED"
    assert desk.ask(A, m.Credit("g", 8)) == []


def test_a_client_that_says_bye_is_forgotten_and_its_job_goes_on(desk: Desk) -> None:
    job = desk.submit(A, "1")
    assert desk.ask(A, m.Bye()) == []
    assert desk.reception.sessions == 1
    assert state(desk, job) == "preparing"
    assert refused(desk.ask(A, m.Ping("p"))).code == "NO_SESSION"


def test_a_full_house_forgets_the_silent_and_lets_the_next_one_in(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for number in range(SESSIONS_MOST):
        desk.hello(b"client %d" % number)
    assert refused(desk.ask(A, m.Hello("h"))).code == "BUSY"
    desk.time += SILENT_S + 1
    desk.ask(b"client 0", m.Ping("p"))
    assert isinstance(the(desk.ask(A, m.Hello("h2"))), m.Welcome)
    assert isinstance(the(desk.ask(b"client 0", m.Ping("q"))), m.Pong)
