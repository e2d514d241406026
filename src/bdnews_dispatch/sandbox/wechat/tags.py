"""Tags and people: 100 tags an account, 20 a user, 50 openids a call; lists of followers in pages.

Source: User_Tag_Management.html, Getting_a_User_List.html, Get_users_basic_information_UnionID.html.
"""

import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.sandbox.wechat.endpoint import Answer, Endpoint, done, inner, integer, text, texts
from bdnews_dispatch.sandbox.wechat_platform import Platform, Refusal

TAGS = 100
TAGS_A_USER = 20
OPENIDS_A_CALL = 50
INFOS_A_CALL = 100
#: Ids below are the platform's own (0, 1 and 2).
_FIRST_ID = 100


@dataclass(slots=True)
class Tags:
    """Tags and who carries them.

    Attributes:
        names: id → name.
        carried: id → openids.
        page: followers in one answer of user/get and user/tag/get.
        refused: openids that batch calls fail for (45171), by script.
    """

    platform: Platform
    names: dict[int, str] = field(default_factory=dict)
    carried: dict[int, set[str]] = field(default_factory=dict)
    page: int = 10_000
    refused: set[str] = field(default_factory=set)
    _ids: "itertools.count[int]" = field(default_factory=lambda: itertools.count(_FIRST_ID))

    def endpoints(self) -> dict[str, Endpoint]:
        return {
            "tags/create": Endpoint("POST", self._create),
            "tags/get": Endpoint("GET", self._all),
            "tags/update": Endpoint("POST", self._update),
            "tags/delete": Endpoint("POST", self._delete),
            "tags/members/batchtagging": Endpoint("POST", lambda data: self._batch(data, add=True)),
            "tags/members/batchuntagging": Endpoint("POST", lambda data: self._batch(data, add=False)),
            "tags/getidlist": Endpoint(
                "POST", lambda d: {"tagid_list": self.of(self._known(d.get("openid")))}
            ),
            "user/tag/get": Endpoint("POST", self._carriers),
            "user/get": Endpoint("GET", self._followers),
            "user/info/batchget": Endpoint("POST", self._infos),
        }

    def of(self, openid: str) -> list[int]:
        """The tags of one follower."""
        return sorted(tag for tag, carriers in self.carried.items() if openid in carriers)

    def members(self, tag: int) -> Collection[str]:
        """The followers with a tag.

        Raises:
            Refusal: 45159.
        """
        if tag not in self.names:
            raise Refusal(45159, "invalid tag id")
        return {openid for openid in self.carried[tag] if self._follows(openid)}

    def _follows(self, openid: str) -> bool:
        follower = self.platform.followers.get(openid)
        return follower is not None and follower.following

    def _known(self, openid: object) -> str:
        if not isinstance(openid, str):
            raise Refusal(40003, "invalid openid")
        self.platform.user_info(openid)
        return openid

    def _name(self, tag: Mapping[str, Any]) -> str:
        name = text(tag, "name")
        if not name or name in self.names.values():
            raise Refusal(45157, "invalid tag name")
        if len(name.encode()) > 30:
            raise Refusal(45158, "invalid tag name length")
        return name

    def _tag(self, tag: Mapping[str, Any], name: str) -> int:
        number = integer(tag, name)
        if number in {0, 1, 2}:
            raise Refusal(45058, "can't modify sys tag")
        if number not in self.names:
            raise Refusal(45159, "invalid tag id")
        return number

    def _create(self, data: Mapping[str, Any]) -> Answer:
        name = self._name(inner(data, "tag"))
        if len(self.names) >= TAGS:
            raise Refusal(45056, "too many tag now, no need to add new")
        number = next(self._ids)
        self.names[number], self.carried[number] = name, set()
        return {"tag": {"id": number, "name": name}}

    def _all(self, _: Mapping[str, Any]) -> Answer:
        return {
            "tags": [{"id": n, "name": name, "count": len(self.members(n))} for n, name in self.names.items()]
        }

    def _update(self, data: Mapping[str, Any]) -> Answer:
        tag = inner(data, "tag")
        number = self._tag(tag, "id")
        self.names[number] = self._name(tag)
        return done()

    def _delete(self, data: Mapping[str, Any]) -> Answer:
        number = self._tag(inner(data, "tag"), "id")
        del self.names[number], self.carried[number]
        return done()

    def _batch(self, data: Mapping[str, Any], *, add: bool) -> Answer:
        openids, number = texts(data, "openid_list"), self._tag(data, "tagid")
        if not 1 <= len(openids) <= OPENIDS_A_CALL:
            raise Refusal(40032, "invalid openid list size")
        for openid in openids:
            self._known(openid)
            if not self._follows(openid):
                raise Refusal(49003, "not match openid with appid")
            if add and len({*self.of(openid), number}) > TAGS_A_USER:
                raise Refusal(45059, "can't add more than 20 tags to a user")
        failed = [openid for openid in openids if openid in self.refused]
        good = set(openids) - self.refused
        carriers = self.carried[number]
        self.carried[number] = carriers | good if add else carriers - good
        if failed:
            raise Refusal(45171, "some openid failed", fail_openid_list=failed)
        return done()

    def _carriers(self, data: Mapping[str, Any]) -> Answer:
        return self._paged(sorted(self.members(self._tag(data, "tagid"))), text(data, "next_openid", ""))

    def _followers(self, query: Mapping[str, Any]) -> Answer:
        follows = [openid for openid in self.platform.followers if self._follows(openid)]
        return {"total": len(follows), **self._paged(follows, text(query, "next_openid", ""))}

    def _paged(self, openids: list[str], after: str) -> Answer:
        if after and after not in openids:
            raise Refusal(40003, "invalid openid")
        start = openids.index(after) + 1 if after else 0
        page = openids[start : start + self.page]
        answer: Answer = {"count": len(page), "next_openid": page[-1] if page else ""}
        return {**answer, "data": {"openid": page}} if page else answer

    def _infos(self, data: Mapping[str, Any]) -> Answer:
        asked = data.get("user_list")
        if not isinstance(asked, list) or not 1 <= len(asked) <= INFOS_A_CALL:
            raise Refusal(40032, "invalid openid list size")
        openids = [item.get("openid") if isinstance(item, dict) else None for item in asked]
        return {"user_info_list": [self.platform.user_info(self._known(openid)) for openid in openids]}
