"""Files come in: taken when they stand still, never lost, never twice; and what was missed is caught up."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import select
from tests.making import HandClock, document, test_settings
from tests.zipping import issue_with_picture, picture

from bdnews_dispatch.dispatch.contents import digest_of, load_contents
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.dispatch.starting import issue_dispatch
from bdnews_dispatch.errors import IssueError, StateError
from bdnews_dispatch.issues.folder import WatchedFolder
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.issues.models import Issue, IssueRevision, IssueState, Picture
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.issues.publishing import find_issue, publish, withdraw
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.service.scheduler import folder_of
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.subscribers.models import Cadence
from bdnews_dispatch.subscribers.targeting import Target

SAMPLE = shipped("config") / "samples" / "dsj-sample.md"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def parts(tmp_path: Path, clock: HandClock) -> AsyncIterator[Parts]:
    async with open_parts(test_settings(tmp_path), clock) as parts:
        yield parts


@pytest.fixture
def folder(parts: Parts) -> WatchedFolder:
    watched = folder_of(parts)
    watched.prepare()
    return watched


async def issues(parts: Parts) -> list[Issue]:
    async with parts.database.read() as session:
        return list((await session.exec(select(Issue))).all())


@pytest.mark.fault(18)
async def test_a_file_is_taken_when_it_has_stopped_growing(
    parts: Parts, folder: WatchedFolder, clock: HandClock
) -> None:
    file = folder.folder / "issue.md"
    whole = SAMPLE.read_bytes()
    for size in (1000, 5000, len(whole)):
        file.write_bytes(whole[:size])
        assert await folder.scan() == 1
        assert await issues(parts) == []
    clock.move(seconds=1)
    assert await folder.scan() == 0
    (issue,) = await issues(parts)
    assert (issue.total_number, issue.state) == (112, IssueState.PUBLISHED)
    assert (folder.folder / "accepted" / "issue.md").read_bytes() == whole
    assert not file.exists()


@pytest.mark.fault(17)
async def test_the_same_file_five_times_is_one_issue(
    parts: Parts, folder: WatchedFolder, clock: HandClock
) -> None:
    for number in range(5):
        (folder.folder / f"copy{number}.md").write_bytes(SAMPLE.read_bytes())
    await folder.scan()
    clock.move(seconds=1)
    await folder.scan()
    assert len(await issues(parts)) == 1
    assert len(list((folder.folder / "accepted").iterdir())) == 5
    async with parts.database.read() as session:
        assert (await session.exec(select(func.count()).select_from(IssueRevision))).one() == 1
        assert (await session.exec(select(func.count()).select_from(Event))).one() == 1


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.md", b""), ("binary.md", bytes(range(256)) * 64), ("huge.md", b"x" * (8 * 1024 * 1024 + 1))],
)
async def test_what_can_not_be_parsed_is_set_aside_with_a_report(
    parts: Parts, folder: WatchedFolder, clock: HandClock, name: str, data: bytes
) -> None:
    (folder.folder / name).write_bytes(data)
    (folder.folder / "good.md").write_bytes(SAMPLE.read_bytes())
    await folder.scan()
    clock.move(seconds=1)
    await folder.scan()
    assert len(await issues(parts)) == 1, "the others are not held up"
    assert (folder.folder / "rejected" / name).read_bytes() == data
    report = json.loads((folder.folder / "rejected" / f"{name}.report.json").read_text(encoding="utf-8"))
    assert report["code"].startswith("issue.")
    assert report["message"]
    assert report["hint"]


async def test_links_folders_and_half_copies_are_left_alone(
    parts: Parts, folder: WatchedFolder, clock: HandClock, tmp_path: Path
) -> None:
    (tmp_path / "secret.md").write_bytes(SAMPLE.read_bytes())
    (folder.folder / "link.md").symlink_to(tmp_path / "secret.md")
    (folder.folder / ".hidden.md").write_bytes(SAMPLE.read_bytes())
    (folder.folder / "copy.md.part").write_bytes(SAMPLE.read_bytes())
    (folder.folder / "sub").mkdir()
    await folder.scan()
    clock.move(seconds=1)
    assert await folder.scan() == 0
    assert await issues(parts) == []
    assert (folder.folder / "link.md").is_symlink()


async def test_with_review_an_issue_waits(parts: Parts, clock: HandClock) -> None:
    async with parts.database.write() as session:
        taken = await take(session, clock, document(), source_name="a", source=b"a", publish_now=False)
        assert taken.issue.state is IssueState.REVIEW
    async with parts.database.write() as session:
        issue = await find_issue(session, "dsj", 112)
        await publish(session, clock, issue)
        with pytest.raises(StateError):
            await publish(session, clock, issue)
        await withdraw(session, clock, issue)
        with pytest.raises(StateError):
            await withdraw(session, clock, issue)
        await publish(session, clock, issue)
    async with parts.database.read() as session:
        told = (await session.exec(select(Event.name))).all()
    assert told.count("issue.published") == 1, "published again is not sent again"


async def test_an_issue_without_a_number_is_refused(parts: Parts, clock: HandClock) -> None:
    with pytest.raises(IssueError) as caught:
        async with parts.database.write() as session:
            unnamed = document().model_copy(update={"total_number": None})
            await take(session, clock, unnamed, source_name="a", source=b"", publish_now=True)
    assert caught.value.code == "issue.number_missing"


async def test_what_was_missed_while_the_service_was_down_is_caught_up_once(
    parts: Parts, clock: HandClock
) -> None:
    timetable = read_timetable(parts.settings.schedule, parts.settings.service.timezone)
    catch_up = CatchUp(parts.database, clock, load_publications(), timetable, days=7)
    assert await catch_up.run() == 0, "nothing was published"
    for total in (112, 113):
        async with parts.database.write() as session:
            await take(session, clock, document(total), source_name="a", source=b"", publish_now=True)
        clock.move(days=1)
    clock.move(days=8)  # the service is away over Monday the 30th and Tuesday the 1st, 09:00 in Beijing
    assert await catch_up.run() == 2
    assert await catch_up.run() == 0
    async with parts.database.read() as session:
        weekly, monthly = (await session.exec(select(Dispatch).order_by(Dispatch.cause.desc()))).all()  # type: ignore[attr-defined]
    assert {weekly.kind, monthly.kind} == {DispatchKind.PERIOD}
    assert (weekly.cadence, monthly.cadence) == (Cadence.WEEKLY, Cadence.MONTHLY)
    assert len(weekly.issues) == len(monthly.issues) == 2
    assert weekly.cause.startswith("weekly:dsj:2026-11-30T01:00")
    assert monthly.cause.startswith("monthly:dsj:2026-12-01T01:00")


async def test_a_zip_brings_its_pictures_and_another_picture_is_a_correction(
    parts: Parts, folder: WatchedFolder, clock: HandClock
) -> None:
    async def put(name: str, data: bytes) -> None:
        (folder.folder / name).write_bytes(data)
        await folder.scan()
        clock.move(seconds=1)
        await folder.scan()

    async def stored() -> set[str]:
        async with parts.database.read() as session:
            return set(await session.exec(select(Picture.digest)))

    await put("a.zip", issue_with_picture())
    await put("b.zip", issue_with_picture())
    (issue,) = await issues(parts)
    (digest,) = await stored()
    assert issue.revision == 1
    await put("c.zip", issue_with_picture(picture(colour="#000000")))
    assert (await issues(parts))[0].revision == 2
    assert len(await stored()) == 2, "the first text still has its own"
    async with parts.database.read() as session:
        dispatch = issue_dispatch(clock, issue, Target())
        contents = await load_contents(session, dispatch, parts.links)
    (edition,) = contents.editions
    assert edition.pictures[digest].url == f"{parts.links.base_url}/pictures/{digest}"
    made = digest_of(parts.publications.named("dsj"), contents, ["policy"])
    shown = made.issues[0].sections[0].articles[0].picture
    assert shown is not None
    assert (shown.digest, shown.width, shown.caption) == (digest, 1200, "图1各地的数量")
