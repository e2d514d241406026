"""The menu: three buttons, five below each.

Source: Custom_Menus/Creating_Custom-Defined_Menu.html, Getting_Started/Global_Return_Code.html.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done
from bdnews_dispatch.sandbox.wechat_platform import Refusal

_NAME_BYTES, _SUB_NAME_BYTES, _KEY_BYTES, _URL_BYTES = 16, 60, 128, 1024


@dataclass(slots=True)
class Menus:
    """The account's one menu.

    Attributes:
        buttons: as given; empty: none.
    """

    buttons: list[dict[str, Any]] = field(default_factory=list)

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "menu/create": Endpoint("POST", self._create),
            "menu/get": Endpoint("GET", self._get),
            "menu/delete": Endpoint("GET", self._delete),
        }

    def _create(self, data: Mapping[str, Any]) -> Answer:
        buttons = data.get("button")
        if not isinstance(buttons, list) or not 1 <= len(buttons) <= 3:
            raise Refusal(40016, "invalid button size")
        for button in buttons:
            _name(button, _NAME_BYTES, 40018)
            below = button.get("sub_button") or []
            if not below:
                _target(button, 40019, 40020)
            elif not isinstance(below, list) or len(below) > 5:
                raise Refusal(40023, "invalid sub button size")
            for sub in below:
                _name(sub, _SUB_NAME_BYTES, 40025)
                _target(sub, 40027, 40028)
        self.buttons = buttons
        return done()

    def _get(self, _: Mapping[str, Any]) -> Answer:
        if not self.buttons:
            raise Refusal(46003, "menu no exist")
        return {"menu": {"button": self.buttons}}

    def _delete(self, _: Mapping[str, Any]) -> Answer:
        self.buttons = []
        return done()


def _name(button: object, limit: int, code: int) -> None:
    name = button.get("name") if isinstance(button, dict) else None
    if not isinstance(name, str) or not 1 <= len(name.encode()) <= limit:
        raise Refusal(code, "invalid button name size")


def _target(button: Mapping[str, Any], key_code: int, url_code: int) -> None:
    kind, key, url = button.get("type"), button.get("key"), button.get("url")
    if kind == "view":
        if (
            not isinstance(url, str)
            or not url.startswith(("http://", "https://"))
            or len(url.encode()) > _URL_BYTES
        ):
            raise Refusal(url_code, "invalid button url size")
    elif kind in {"click", "scancode_push", "scancode_waitmsg"}:
        if not isinstance(key, str) or not 1 <= len(key.encode()) <= _KEY_BYTES:
            raise Refusal(key_code, "invalid button key size")
    else:
        raise Refusal(40017, "invalid button type")
