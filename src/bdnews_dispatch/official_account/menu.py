"""The account's menu, from the settings: three buttons, five below each.

In: `[wechat] menu`, a publication, links. Out: what menu/create takes, checked by the platform's own limits before it
is asked. Caller: cli/wechat.py. A tap on a keyword comes back as a click push and is answered like the word.

Source: Custom_Menus/Creating_Custom-Defined_Menu.html.
"""

from collections.abc import Sequence
from typing import Any

from bdnews_dispatch.errors import Phrase, SettingsError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import MenuEntry

#: Octets of a name on the bar and below it; entries below one button.
_ON_BAR, _BELOW, _MOST_BELOW = 16, 60, 5


def menu_of(entries: Sequence[MenuEntry], publication: Publication, links: Links) -> list[dict[str, Any]]:
    """The buttons.

    Raises:
        SettingsError: a name is too long, or there are too many; the text says which.
    """
    return [_button(entry, publication, links, _ON_BAR) for entry in entries]


def _button(entry: MenuEntry, publication: Publication, links: Links, most: int) -> dict[str, Any]:
    _check_name(entry.name, most)
    if entry.sections:
        below = [
            {"type": "click", "name": _checked(section.name), "key": section.name}
            for section in publication.sections[:_MOST_BELOW]
        ]
        return {"name": entry.name, "sub_button": below}
    if entry.below:
        if len(entry.below) > _MOST_BELOW:
            raise SettingsError(
                Phrase("菜单“%(name)s”下面有 %(number)s 项", name=entry.name, number=len(entry.below)),
                hint=Phrase("最多 %(most)s 项。", most=_MOST_BELOW),
            )
        return {
            "name": entry.name,
            "sub_button": [_button(each, publication, links, _BELOW) for each in entry.below],
        }
    if entry.keyword:
        return {"type": "click", "name": entry.name, "key": entry.keyword}
    return {"type": "view", "name": entry.name, "url": _address(entry, publication, links)}


def _address(entry: MenuEntry, publication: Publication, links: Links) -> str:
    match entry.page:
        case "mine":
            return f"{links.base_url}/wechat/mine"
        case "archive":
            return links.archive(publication.key)
        case _:
            return entry.url


def _checked(name: str) -> str:
    _check_name(name, _BELOW)
    return name


def _check_name(name: str, most: int) -> None:
    if len(name.encode()) > most:
        raise SettingsError(
            Phrase("菜单按钮“%(name)s”太长", name=name),
            hint=Phrase(
                "这一级最多 %(characters)s 个汉字（%(most)s 字节）。请改 wechat.menu。",
                characters=most // 3,
                most=most,
            ),
        )
