"""The sentence that a reader agrees to, and which one it was.

In: a publication and a language. Out: the sentence, its version, a row that keeps it. Callers: the subscribe page,
requests, imports. What an agreement names by its version is kept word for word (PIPL arts. 14, 17).
"""

import hashlib

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.models import ConsentText

#: What is sent, by whom, what is kept of it, and how it ends: PIPL art. 17.
_TEXTS = {
    "zh": (
        "我同意{publisher}按我所选的栏目与频率，把《{name}》及其快讯寄到我填写的邮箱；"
        "为此保存我的邮箱、称呼和所选内容，并统计我是否打开、点了哪些文章。"
        "我可以随时在每封邮件里更改、关闭统计、退订，或要求取得、删除我的全部数据。"
    ),
    "en": (
        "I agree that {publisher} sends {name} and its bulletins to the address I give, by the sections and the "
        "frequency I choose; that it keeps my address, my name and my choices for this, and counts whether I open "
        "mails and which articles I follow. From every mail I can change this, turn counting off, unsubscribe, or "
        "ask for a copy or the erasure of all my data."
    ),
}

#: The same for who reads in WeChat alone.
_WECHAT_TEXTS = {
    "zh": (
        "我同意{publisher}按我所选的栏目与频率，把《{name}》及其快讯发到我的微信；"
        "为此保存我在这个公众号里的标识（openid）和所选内容，并统计我打开、点了哪些文章。"
        "我可以随时在每份摘要里更改、关闭统计、退订。"
    ),
    "en": (
        "I agree that {publisher} sends {name} and its bulletins to my WeChat, by the sections and the frequency I "
        "choose; that it keeps my identifier with this Official Account (openid) and my choices for this, and counts "
        "which digests I open and which articles I follow. From every digest I can change this, turn counting off, or "
        "unsubscribe."
    ),
}


def consent_text(publication: Publication, language: str, *, by_wechat: bool = False) -> str:
    """The sentence on the subscribe page, or on the page of a WeChat follower."""
    english = language == "en"
    name = publication.name_en if english and publication.name_en else publication.name
    publisher = publication.publisher or name
    texts = _WECHAT_TEXTS if by_wechat else _TEXTS
    return texts["en" if english else "zh"].format(publisher=publisher, name=name)


def version_of(text: str) -> str:
    """The front of its SHA-256: another sentence is another version, whoever changed it."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


async def keep_text(session: AsyncSession, clock: Clock, text: str, language: str) -> str:
    """Keep the sentence, for as long as an agreement names it. Returns: its version."""
    version = version_of(text)
    row = insert_new(session, ConsentText).values(
        version=version, language=language[:8], text=text, first_used_at=clock()
    )
    await session.execute(row)
    return version
