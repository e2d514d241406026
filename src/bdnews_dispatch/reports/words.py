"""Words for what a dispatch is counted by. Callers: cli/, the console."""

from collections.abc import Mapping

from bdnews_dispatch.dispatch.words import CHANNELS, reason
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.reports.models import Dimension
from bdnews_dispatch.reports.reading import Line

DIMENSIONS: Mapping[Dimension, str] = {
    Dimension.CHANNEL: "渠道",
    Dimension.DOMAIN: "域名",
    Dimension.LIST: "名单",
    Dimension.SECTION: "栏目",
    Dimension.ARTICLE: "链接",
    Dimension.REASON: "未发原因",
    Dimension.HOUR: "发出后几小时",
}


def label_of(dimension: Dimension, line: Line, publication: Publication) -> str:
    """A line's name, as people call it."""
    match dimension:
        case Dimension.SECTION:
            return next((one.name for one in publication.sections if one.key == line.value), line.value)
        case Dimension.DOMAIN:
            return "其他" if line.value == "*" else line.value
        case Dimension.ARTICLE:
            return line.label or line.value
        case Dimension.REASON:
            return reason(line.value) or "（未记）"
        case Dimension.CHANNEL:
            return CHANNELS.get(line.value, line.value)
        case Dimension.HOUR:
            return str(int(line.value))
        case _:
            return line.value
