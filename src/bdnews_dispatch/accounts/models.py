"""Tables of accounts: tokens of the JSON API and what they asked for once; users, their second factors, their sessions,
what they did.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.db.types import BigId, UtcDateTime, enum_type


class ApiToken(SQLModel, table=True):
    """A token of the JSON API. The token itself is shown once and kept nowhere.

    Attributes:
        sha256: of the token. It is random and long: a slow hash would guard it no better.
        scope: names of rights; see rights.py.
        user_id: whose it is: it never allows more than they may themselves. None: the machine's, by the command line.
        ends_at: not good from then on.
        used_at: when it was used last, to the minute.
    """

    __tablename__ = "api_token"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100)
    sha256: str = Field(max_length=64, unique=True)
    scope: list[str] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    user_id: int | None = Field(default=None, index=True)
    ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OnceAnswered(SQLModel, table=True):
    """An answer to a call with an Idempotency-Key: the same call again gets it again, and does nothing.

    Attributes:
        fingerprint: of method, address and body; another call with the same key is refused.
    """

    __tablename__ = "once_answered"
    token_id: int = Field(primary_key=True, foreign_key="api_token.id")
    key: str = Field(primary_key=True, max_length=200)
    fingerprint: str = Field(max_length=64)
    status: int
    location: str = Field(default="", max_length=500)
    body: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime, index=True)


class User(SQLModel, table=True):
    """Somebody who may use the console.

    Attributes:
        email_key: the address with its case folded: by it they sign in.
        password: by argon2id; empty: they have not chosen one yet, and can't sign in.
        publications: keys of those that the role is for; none: for all.
        language: of the pages they see: "zh" or "en".
        totp_secret: what their authenticator app has (RFC 6238), sealed (sealing.py); empty: none.
        totp_since: when they first showed a code of it; until then signing in does not ask for one.
        totp_step: the last half minute whose code was taken: none is taken twice (RFC 6238 §5.2).
        totp_wrong: codes in a row that were wrong.
        disabled_at: from then on they can't sign in, and no session of theirs is good.
    """

    __tablename__ = "console_user"
    id: int | None = Field(default=None, primary_key=True)
    email: str = Field(max_length=254)
    email_key: str = Field(max_length=254, unique=True)
    name: str = Field(default="", max_length=100)
    role: Role = Field(sa_type=enum_type(Role))
    password: str = Field(default="", max_length=200)
    publications: list[str] = Field(default_factory=list, sa_type=JSON)
    language: str = Field(default="zh", max_length=8)
    totp_secret: str = Field(default="", max_length=300)
    totp_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    totp_step: int = Field(default=0, sa_type=BigId)
    totp_wrong: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ConsoleSession(SQLModel, table=True):
    """Somebody who has signed in, on one browser.

    Attributes:
        sha256: of the cookie's value, which is kept nowhere.
        csrf: stands in every form of this session.
        browser: what it calls itself, as a family: so that its owner knows it again.
        seen_at: to the minute; a session that was not seen for long is over.
    """

    __tablename__ = "console_session"
    id: int | None = Field(default=None, primary_key=True)
    sha256: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="console_user.id", index=True)
    csrf: str = Field(max_length=43)
    network: str = Field(default="", max_length=50)
    browser: str = Field(default="", max_length=60)
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class HalfSignIn(SQLModel, table=True):
    """Somebody whose password was right, and who has not shown a code yet. No session: it opens nothing.

    Attributes:
        sha256: of the cookie's value.
        tries: codes that were wrong.
    """

    __tablename__ = "half_sign_in"
    id: int | None = Field(default=None, primary_key=True)
    sha256: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="console_user.id", index=True)
    tries: int = 0
    ends_at: datetime = Field(sa_type=UtcDateTime)


class RecoveryCode(SQLModel, table=True):
    """Used once instead of an app's code. 80 random bits: a slow hash would guard it no better."""

    __tablename__ = "recovery_code"
    id: int | None = Field(default=None, primary_key=True)
    sha256: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="console_user.id", index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ProviderIdentity(SQLModel, table=True):
    """Whom the OpenID provider's `sub` means here; an address may change hands, `sub` does not (OpenID Core §5.7)."""

    __tablename__ = "provider_identity"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: int | None = Field(default=None, primary_key=True)
    issuer: str = Field(max_length=300)
    subject: str = Field(max_length=255)
    user_id: int = Field(foreign_key="console_user.id", index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class PasswordLink(SQLModel, table=True):
    """A link by which somebody chooses a password, once: the first one, or another one."""

    __tablename__ = "password_link"
    id: int | None = Field(default=None, primary_key=True)
    sha256: str = Field(max_length=64, unique=True)
    user_id: int = Field(foreign_key="console_user.id", index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CalendarAddress(SQLModel, table=True):
    """The address by which a user's calendar program reads what is to be sent; at most one a user.

    Attributes:
        word: stands in the address; another one ends the address that there was.
    """

    __tablename__ = "calendar_address"
    user_id: int = Field(primary_key=True, foreign_key="console_user.id")
    word: str = Field(max_length=16)
    made_at: datetime = Field(sa_type=UtcDateTime)


class SignInFailure(SQLModel, table=True):
    """Somebody gave a wrong password. `account`: a hash of what they called themselves."""

    __tablename__ = "sign_in_failure"
    id: int | None = Field(default=None, primary_key=True)
    account: str = Field(max_length=64, index=True)
    network: str = Field(max_length=50, index=True)
    at: datetime = Field(sa_type=UtcDateTime)


class AuditEntry(SQLModel, table=True):
    """Who did what. Append-only: each entry's hash covers the one before, so that a change shows.

    Attributes:
        actor: `user:3`, `token:2`, `cli`.
        subject: what it was done to: `subscriber:7`, `list:会场`.
        change: before and after, without addresses.
        hash: of all of this and of the entry before.
    """

    __tablename__ = "audit_entry"
    #: What one of them did, and one kind of action, the newest first.
    __table_args__ = (
        Index("ix_audit_entry_actor_id", "actor", "id"),
        Index("ix_audit_entry_action_id", "action", "id"),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    at: datetime = Field(sa_type=UtcDateTime)
    actor: str = Field(max_length=40)
    action: str = Field(max_length=60)
    subject: str = Field(default="", max_length=150)
    change: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    network: str = Field(default="", max_length=50)
    hash: str = Field(max_length=64)
