"""Which letters a request needs, written in the transaction that handles `request.made`; and test sends.

In: a request's id; a mail as composed. Out: rows of `Letter`. Callers: the outbox, through pipeline.py; the console.
"""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.links import random_key
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.models import Request, RequestKind
from bdnews_dispatch.subscribers.requests import subscribed_already


async def write_letters(session: AsyncSession, clock: Clock, request_id: int) -> list[Letter]:
    """Write what the request's addresses have to be asked; once, however often it is told of.

    Returns:
        The letters, those that were there already included.
    """
    there = (await session.exec(select(Letter).where(col(Letter.request_id) == request_id))).all()
    request = await session.get(Request, request_id)
    if there or request is None or request.done_at is not None:
        return list(there)
    letters = [
        Letter(
            key=random_key(clock()),
            kind=kind,
            publication=request.publication,
            email=email,
            language=request.language,
            request_id=request_id,
            due_at=clock(),
            created_at=clock(),
        )
        for kind, email in await _addressed(session, request)
    ]
    session.add_all(letters)
    await session.flush()
    return letters


async def write_test(
    session: AsyncSession, clock: Clock, *, publication: str, email: str, subject: str, html: str, text: str
) -> Letter:
    """A mail to an editor, as a reader would see it. Args: email: their own."""
    data = {"subject": f"【测试】{subject}", "html": html, "text": text}
    return await _write(session, clock, LetterKind.TEST, publication, email, data)


async def write_notice(
    session: AsyncSession,
    clock: Clock,
    *,
    publication: str,
    email: str,
    subject: str,
    paragraphs: Sequence[str],
    button: str,
    url: str,
) -> Letter:
    """A letter to an admin about the service. Args: button, url: what to do, and where."""
    data = {"subject": subject, "paragraphs": list(paragraphs), "button": button, "url": url}
    return await _write(session, clock, LetterKind.NOTICE, publication, email, data)


async def _write(
    session: AsyncSession, clock: Clock, kind: LetterKind, publication: str, email: str, data: dict[str, Any]
) -> Letter:
    """One that no request has asked for."""
    letter = Letter(
        key=random_key(clock()),
        kind=kind,
        publication=publication,
        email=email,
        data=data,
        due_at=clock(),
        created_at=clock(),
    )
    session.add(letter)
    await session.flush()
    return letter


async def _addressed(session: AsyncSession, request: Request) -> list[tuple[LetterKind, str]]:
    match request.kind:
        case RequestKind.SUBSCRIBE:
            again = await subscribed_already(session, request)
            return [(LetterKind.SUBSCRIBE_AGAIN if again else LetterKind.SUBSCRIBE, request.email)]
        case RequestKind.CHANGE_ADDRESS:
            letters = [(LetterKind.NEW_ADDRESS, request.email)]
            if request.other_key is not None and request.subscriber_id is not None:
                person = await people.find_by_id(session, request.subscriber_id)
                if person.email is not None:
                    letters.append((LetterKind.OLD_ADDRESS, person.email))
            return letters
        case RequestKind.EXPORT:
            return [(LetterKind.EXPORT, request.email)]
        case RequestKind.ERASE:
            return [(LetterKind.ERASE, request.email)]
