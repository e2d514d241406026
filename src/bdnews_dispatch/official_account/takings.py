"""What a card uses up: one message of a window, one consent, one of a quota; taken and given back by one statement.

In: a `Taking`. Out: a row changed, or none: then it is used up. Callers: the ledger's stores, in the transaction of the
gate, and the card lane between two modes. The statements are the same on SQLite and PostgreSQL; each decides by itself,
so that no two workers take the last one.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import TextClause, bindparam, text

from bdnews_dispatch.channels.wechat.modes import Mode
from bdnews_dispatch.clock import beijing
from bdnews_dispatch.db.types import UtcDateTime
from bdnews_dispatch.settings import WeChatSettings

Kind = Literal["consent", "credit", "quota", "window"]
Act = Literal["take", "give_back", "spend"]

TEMPLATE_QUOTA = "template"
MASS_QUOTA = "mass"
MASS_CALLS_QUOTA = "mass_calls"


class Taking(NamedTuple):
    """One of something. Their order is the order in which everybody locks them.

    Attributes:
        kind: of what.
        holder: the openid; empty: the account.
        name: the template's id, or the quota's name.
        period, limit: of a quota.
    """

    kind: Kind
    holder: str
    name: str = ""
    period: str = ""
    limit: int = 0


_QUOTA = "WHERE name = :name AND holder = :holder AND period = :period"
_CREDIT = "WHERE openid = :holder AND template_id = :name"
#: `take` changes a row if there is one left; `spend`: the platform says that there is none.
STATEMENTS: Mapping[tuple[Kind, Act], str] = {
    ("window", "take"): """
UPDATE follower SET window_left = window_left - 1, updated_at = :now
WHERE openid = :holder AND following AND window_left > 0 AND window_until > :now""",
    ("window", "give_back"): """
UPDATE follower SET window_left = window_left + 1 WHERE openid = :holder AND window_until > :now""",
    ("window", "spend"): "UPDATE follower SET window_left = 0 WHERE openid = :holder",
    ("credit", "take"): f"""
UPDATE wechat_credit SET used = used + 1, updated_at = :now {_CREDIT} AND used < granted""",
    ("credit", "give_back"): f"""
UPDATE wechat_credit SET used = used - 1, updated_at = :now {_CREDIT} AND used > 0""",
    ("credit", "spend"): f"UPDATE wechat_credit SET used = granted, updated_at = :now {_CREDIT}",
    ("consent", "take"): f"""
UPDATE wechat_credit SET used = used + 1, updated_at = :now {_CREDIT} AND granted > 0""",
    ("consent", "give_back"): f"""
UPDATE wechat_credit SET used = used - 1, updated_at = :now {_CREDIT} AND used > 0""",
    ("consent", "spend"): f"UPDATE wechat_credit SET granted = 0, updated_at = :now {_CREDIT}",
    ("quota", "take"): """
INSERT INTO wechat_quota (name, holder, period, used) VALUES (:name, :holder, :period, 1)
ON CONFLICT (name, holder, period) DO UPDATE SET used = wechat_quota.used + 1
WHERE wechat_quota.used < :limit""",
    ("quota", "give_back"): f"UPDATE wechat_quota SET used = used - 1 {_QUOTA} AND used > 0",
    ("quota", "spend"): """
INSERT INTO wechat_quota (name, holder, period, used) VALUES (:name, :holder, :period, :limit)
ON CONFLICT (name, holder, period) DO UPDATE SET used = :limit""",
}  # constants of this module
_NAME = re.compile(r":([a-z]+)")


def _positional(statement: str) -> tuple[str, tuple[str, ...]]:
    names = tuple(dict.fromkeys(_NAME.findall(statement)))
    return _NAME.sub(lambda found: f"${names.index(found[1]) + 1}", statement), names


_POSITIONAL = {key: _positional(statement) for key, statement in STATEMENTS.items()}


def for_sqlite(taking: Taking, act: Act, now: str | None) -> tuple[str, dict[str, Any]]:
    """The statement and its values as SQLite's driver takes them. Args: now: as `stored` writes it."""
    return STATEMENTS[taking.kind, act], {**taking._asdict(), "now": now}


def for_postgres(taking: Taking, act: Act, now: datetime) -> tuple[str, list[Any]]:
    """The same for asyncpg, which numbers values."""
    statement, names = _POSITIONAL[taking.kind, act]
    values = {**taking._asdict(), "now": now}
    return statement, [values[name] for name in names]


def for_session(taking: Taking, act: Act, now: datetime) -> tuple[TextClause, dict[str, Any]]:
    """The same for a session of SQLAlchemy."""
    statement, names = STATEMENTS[taking.kind, act], _POSITIONAL[taking.kind, act][1]
    clause = text(statement)
    if "now" in names:
        clause = clause.bindparams(bindparam("now", type_=UtcDateTime))
    values = {**taking._asdict(), "now": now}
    return clause, {name: values[name] for name in names}


def quota_name(quota: str, appid: str) -> str:
    """As rows have it: what goes to the sandbox's account is not counted against the real one."""
    return f"{quota}:{appid}"


def day_of(now: datetime) -> str:
    """The platform's day."""
    return f"{beijing(now):%Y-%m-%d}"


def month_of(now: datetime) -> str:
    """The platform's calendar month."""
    return f"{beijing(now):%Y-%m}"


def taking_of(mode: Mode, openid: str, settings: WeChatSettings, now: datetime) -> Taking | None:
    """What a message by this mode uses up; None: nothing that is counted for one card."""
    match mode:
        case "custom":
            return Taking("window", openid)
        case "subscribe_long":
            return Taking("consent", openid, settings.long_term_template_id)
        case "subscribe_once":
            return Taking("credit", openid, settings.one_time_template_id)
        case "template":
            return Taking(
                "quota", "", quota_name(TEMPLATE_QUOTA, settings.appid), day_of(now), settings.templates_a_day
            )
        case "mass":
            return None


def mass_taking(openid: str, settings: WeChatSettings, now: datetime) -> Taking:
    """One of the mass messages that a follower may get in this calendar month."""
    return Taking(
        "quota", openid, quota_name(MASS_QUOTA, settings.appid), month_of(now), settings.masses_a_month
    )
