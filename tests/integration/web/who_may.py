"""The table of who may ask for what, and how the admins' guide shows it.

In: who_may.txt, one line a route. Out: rows; the guide's part. Callers: test_who_may.py; a person who has changed the
table: `python -m tests.integration.web.who_may`.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bdnews_dispatch.accounts.rights import Role

TABLE = Path(__file__).with_name("who_may.txt")
GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "admin.md"
_BEGINS, _ENDS = "<!-- who may: begin -->\n", "<!-- who may: end -->\n"
_NAMES = {Role.ADMIN: "管理员", Role.EDITOR: "编辑", Role.REVIEWER: "审核", Role.ANALYST: "分析"}
_VERBS = {"GET": "看", "POST": "改"}
_OTHERS = {"everybody", "link", "platform", "demo"}


@dataclass(frozen=True, slots=True)
class Row:
    """A route and who may. Attributes: who: `everybody`, `link`, `platform`, `demo`; "" for roles and tokens."""

    method: str
    path: str
    who: str = ""
    scope: str = ""
    roles: frozenset[Role] = frozenset()


def table() -> dict[tuple[str, str], Row]:
    """By method and path."""
    rows: dict[tuple[str, str], Row] = {}
    for line in TABLE.read_text("utf-8").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        method, path, *who = line.split()
        if who[:1] == ["token"]:
            row = Row(method, path, scope=who[1])
        elif who[0] in _OTHERS:
            row = Row(method, path, who=who[0])
        else:
            row = Row(method, path, roles=frozenset(Role(name) for name in who))
        assert (method, path) not in rows, line
        rows[method, path] = row
    return rows


def shown() -> str:
    """The part of the guide: the console by room and role, the API by scope."""
    rooms: dict[tuple[str, str, frozenset[Role]], list[str]] = defaultdict(list)
    scopes: dict[str, list[str]] = defaultdict(list)
    for row in table().values():
        if row.roles:
            room, _, rest = row.path.removeprefix("/console/").partition("/")
            rooms[room, row.method, row.roles].append(rest)
        elif row.scope:
            scopes[row.scope].append(f"{row.method} {row.path.removeprefix('/api/v1')}")
    lines = [f"| 地址 | | {' | '.join(_NAMES.values())} |", "|---|---|" + "---|" * len(Role)]
    for (room, method, roles), rests in rooms.items():
        marks = " | ".join("●" if role in roles else "" for role in _NAMES)
        further = sorted({re.sub(r"\{\w+\}", "…", rest) for rest in rests if rest})
        paths = f"`/console/{room}`" if "" in rests else f"`/console/{room}/`"
        paths += f"：{'、'.join(f'`{rest}`' for rest in further)}" if further else ""
        lines.append(f"| {paths} | {_VERBS[method]} | {marks} |")
    lines += ["", "令牌（JSON API）只能做其范围里写明的：", "", "| 范围 | 可以调用 |", "|---|---|"]
    lines += [
        f"| `{scope}` | {'、'.join(f'`{call}`' for call in calls)} |"
        for scope, calls in sorted(scopes.items())
    ]
    return "\n".join(lines) + "\n"


def guide_part() -> tuple[str, str, str]:
    """The guide before the part, the part, and behind it."""
    before, _, rest = GUIDE.read_text("utf-8").partition(_BEGINS)
    part, _, behind = rest.partition(_ENDS)
    return before + _BEGINS, part, _ENDS + behind


if __name__ == "__main__":
    head, _, foot = guide_part()
    GUIDE.write_text(head + shown() + foot, "utf-8")
