"""When a dispatch begins, as people write it. In: text. Out: a moment. Callers: cli/, the console."""

from datetime import datetime, timedelta, tzinfo

from bdnews_dispatch.errors import BdnewsError, Phrase

#: A moment that is over by more than this is a slip of the pen, and would go out at once.
LATE = timedelta(minutes=5)


def read_moment(text: str, zone: tzinfo, now: datetime) -> datetime:
    """The moment that the text names, in the zone where it names none.

    Raises:
        BdnewsError: it is no time, or over.
    """
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise BdnewsError(
            Phrase("时间“%(text)s”读不懂", text=text), hint="应写成 2026-12-01T09:00 这样的形式。"
        ) from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=zone)
    if when < now - LATE:
        raise BdnewsError(
            Phrase("时间“%(text)s”已经过去", text=text), hint="请核对年份与日期；要立即发出，不写时间。"
        )
    return when
