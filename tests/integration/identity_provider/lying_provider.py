"""An OpenID provider that says what a test wants it to: true tokens, and every kind of false one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT = "bdnews"
SECRET = "a secret of the client's, long enough to sign with"


@dataclass
class LyingProvider:
    """What it says. `claims` and the others may be changed before each answer."""

    issuer: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, auto_kid=True))
    shown: list[RSAKey] = field(default_factory=list)
    claims: dict[str, Any] = field(default_factory=dict)
    nonce: str = ""
    token: Callable[[dict[str, Any]], str] | None = None
    answers: dict[str, web.Response] = field(default_factory=dict)
    said: dict[str, Any] = field(default_factory=dict)
    in_pieces: bool = False
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    def true_claims(self) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "u-1",
            "nonce": self.nonce,
            "iat": now,
            "exp": now + 300,
            "email": "zhang@example.cn",
            "email_verified": True,
        }

    def signed(self, claims: dict[str, Any], key: RSAKey | None = None) -> str:
        used = key or self.key
        return jwt.encode({"alg": "RS256", "kid": used.kid}, claims, used)

    def signed_by_the_client(self, claims: dict[str, Any]) -> str:
        """What anybody could make who knows the client's secret."""
        return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Whole, or in pieces that come one by one."""
        answer = await self._answer(request)
        if not self.in_pieces:
            return answer
        stream = web.StreamResponse(status=answer.status)
        await stream.prepare(request)
        body = answer.body
        assert isinstance(body, bytes)
        for start in range(0, len(body), 100):
            await stream.write(body[start : start + 100])
            await asyncio.sleep(0)
        return stream

    async def _answer(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.asked.append((request.path, form, request.headers.get("Authorization", "")))
        if request.path in self.answers:
            answer = self.answers[request.path]
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        if request.path == "/.well-known/openid-configuration":
            return web.json_response(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    **self.said,
                }
            )
        if request.path == "/keys":
            keys = self.shown or [self.key]
            return web.json_response({"keys": [key.as_dict(private=False) for key in keys]})
        claims = {
            key: value for key, value in (self.true_claims() | self.claims).items() if value is not None
        }
        return web.json_response({"id_token": (self.token or self.signed)(claims)})


@asynccontextmanager
async def lying_provider() -> AsyncIterator[LyingProvider]:
    """On a port of its own."""
    provider = LyingProvider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", provider.handle)
    async with TestServer(app) as server:
        provider.issuer = f"http://127.0.0.1:{server.port}"
        yield provider
