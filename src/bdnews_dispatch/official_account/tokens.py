"""The token's row: read, claimed, written by compare-and-swap, so that any number of processes ask once (ADR 0017).

In: the database, the appid, the app's secret. Out: what channels/wechat/token.py needs as `TokenStore`; for people, how
it stands, without the token. Called by service/, the console. The token is sealed with a key made from the app's
secret, which lies outside the database: who has it can ask for a token anyway, so the row adds nothing to lose. A row
that another secret has sealed counts as empty.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr
from sqlalchemy import ColumnElement, and_, or_, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.token import FORCE_A_DAY, FORCE_APART_SECONDS, StoredToken
from bdnews_dispatch.clock import Clock, beijing
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.official_account.models import WeChatToken

#: Whoever asked and died is waited for no longer than this; more than the time-out of two calls.
CLAIM = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class TokenState:
    """How the token stands.

    Attributes:
        ends_at: None: there has not been one yet.
        renewed: how often one was fetched.
        forced_today: of FORCE_A_DAY.
    """

    ends_at: datetime | None
    renewed: int
    forced_today: int


async def token_state(session: AsyncSession, clock: Clock, appid: str) -> TokenState:
    """Of this appid; nothing of the token itself."""
    row = await session.get(WeChatToken, appid)
    if row is None:
        return TokenState(None, 0, 0)
    today = row.forced_day == f"{beijing(clock()):%Y-%m-%d}"
    return TokenState(row.ends_at, row.version, row.forced_count if today else 0)


class TokenRow:
    """One appid's row.

    Args:
        database: where it lies.
        appid: whose.
        secret: of the app; seals.
        clock: the time.
    """

    def __init__(self, database: Database, appid: str, secret: SecretStr, clock: Clock) -> None:
        self._database = database
        self._appid = appid
        self._clock = clock
        derived = HKDF(SHA256(), 32, salt=appid.encode(), info=b"bdnews wechat token").derive(
            secret.get_secret_value().encode()
        )
        self._seal = Fernet(base64.urlsafe_b64encode(derived))

    async def read(self) -> StoredToken:
        """The token that is there; an empty one where there is none."""
        async with self._database.read() as session:
            row = await session.get(WeChatToken, self._appid)
        if row is None:
            async with self._database.write() as session:
                await session.execute(insert_new(session, WeChatToken).values(appid=self._appid))
            return StoredToken("", 0.0, 0)
        left = (row.ends_at - self._clock()).total_seconds() if row.ends_at else 0.0
        return StoredToken(self._opened(row.sealed), left, row.version)

    async def claim(self, version: int) -> bool:
        """Whether we are the one to ask the platform for what follows this version."""
        now = self._clock()
        free = or_(col(WeChatToken.claimed_until).is_(None), col(WeChatToken.claimed_until) <= now)
        return await self._change(version, free, claimed_until=now + CLAIM)

    async def keep(self, version: int, token: str, lives_seconds: float) -> bool:
        """Write what followed this version; False: somebody else has."""
        return await self._change(
            version,
            version=version + 1,
            sealed=self._seal.encrypt(token.encode()).decode(),
            ends_at=self._clock() + timedelta(seconds=lives_seconds),
            claimed_until=None,
        )

    async def give_up(self, version: int) -> None:
        """The platform gave nothing: the next may ask."""
        await self._change(version, claimed_until=None)

    async def may_force(self, version: int) -> bool:
        """Whether a `force_refresh` is left for today; counts it."""
        now = self._clock()
        day = f"{beijing(now):%Y-%m-%d}"
        apart = or_(
            col(WeChatToken.forced_at).is_(None),
            col(WeChatToken.forced_at) <= now - timedelta(seconds=FORCE_APART_SECONDS),
        )
        another_day = col(WeChatToken.forced_day) != day
        if await self._change(
            version, and_(apart, another_day), forced_at=now, forced_day=day, forced_count=1
        ):
            return True
        left = and_(apart, col(WeChatToken.forced_day) == day, col(WeChatToken.forced_count) < FORCE_A_DAY)
        return await self._change(version, left, forced_at=now, forced_count=WeChatToken.forced_count + 1)

    async def _change(
        self,
        version_seen: int,
        allowed: ColumnElement[bool] | None = None,
        **values: datetime | str | int | None,
    ) -> bool:
        statement = update(WeChatToken).where(
            col(WeChatToken.appid) == self._appid, col(WeChatToken.version) == version_seen
        )
        if allowed is not None:
            statement = statement.where(allowed)
        async with self._database.write() as session:
            done = await session.execute(statement.values(**values))
        return bool(done.rowcount)  # type: ignore[attr-defined]  # an UPDATE's result has it

    def _opened(self, sealed: str) -> str:
        try:
            return self._seal.decrypt(sealed.encode()).decode() if sealed else ""
        except InvalidToken:
            return ""
