"""Signing in through an OpenID provider (OpenID Connect Core 1.0): the authorization code flow with PKCE.

In: the provider's settings; later the code that a browser brings back. Out: an address to send the browser to; who the
provider says it is. Caller: identities.py. Knows no database. The provider's answers are believed only so far as its
signature, issuer, audience, nonce and time hold.
"""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode, urlsplit

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, encode_basic_auth

from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.settings import SignInSettings

if TYPE_CHECKING:
    from joserfc.jwk import ECKey, KeySet, RSAKey

#: Signatures with a private key alone: what a client's secret signs, the client could have made itself.
_ALGORITHMS = ["RS256", "PS256", "ES256"]
_TIMEOUT = ClientTimeout(total=10)
_MOST_OCTETS = 256 * 1024
_PIECE = 16 * 1024
#: Seconds that what a provider says of itself is kept, and that its clock may be off by.
_KEPT_FOR = 3600
_LEEWAY = 60
_HINT = Phrase("请稍后再试，或用邮箱与密码登录；一直如此的话，请管理员看日志里的 provider.failed。")


class ProviderError(BdnewsError):
    """The provider is away, or says what can't be believed."""


class ProviderAwayError(ProviderError):
    """It can't be reached: nobody's code was looked at."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is. Attributes: email: empty where the provider has not verified it."""

    issuer: str
    subject: str
    email: str


class OpenIdProvider:
    """The provider. One for the application; remembers for an hour what the provider says of itself."""

    def __init__(self, settings: SignInSettings, http: ClientSession) -> None:
        """Args: settings: with an issuer."""
        self.issuer = settings.issuer.rstrip("/")
        self._settings = settings
        self._http = http
        self._said: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def address(self, *, state: str, nonce: str, verifier: str, back: str) -> str:
        """Where the browser is sent to.

        Args:
            verifier: of PKCE; the address holds its hash.
            back: where the provider sends the browser afterwards.

        Raises:
            ProviderError: it is away.
        """
        said = await self._discovered()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": back,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        address = str(said["authorization_endpoint"])
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}"

    async def identity(self, *, code: str, nonce: str, verifier: str, back: str) -> Identity:
        """Who it is, for the code that the browser brought.

        Raises:
            ProviderError: it is away, refuses the code, or its ID token does not hold.
        """
        said = await self._discovered()
        answer = await self._ask(
            str(said["token_endpoint"]),
            form={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": back,
                "code_verifier": verifier,
                "client_id": self._settings.client_id,
            },
        )
        claims = await self._claims(str(answer.get("id_token", "")))
        if claims.get("nonce") != nonce:
            raise ProviderError("登录服务的答复不是对这次登录的", hint="请再登录一次。")
        email = claims.get("email") if claims.get("email_verified") is True else ""
        return Identity(self.issuer, str(claims["sub"]), email if isinstance(email, str) else "")

    async def _claims(self, token: str) -> dict[str, Any]:
        from joserfc import jwt  # noqa: PLC0415  # a third of a second, for processes in which nobody comes back
        from joserfc.errors import JoseError  # noqa: PLC0415

        rules = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss={"essential": True, "values": [self.issuer, f"{self.issuer}/"]},
            aud={"essential": True, "value": self._settings.client_id},
            exp={"essential": True},
            sub={"essential": True},
        )
        for fresh in (False, True):
            keys = await self._key_set(fresh=fresh)
            try:
                claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
            except (JoseError, ValueError) as error:
                if not fresh:
                    continue  # a new key, perhaps: the provider is asked for its keys once more
                raise ProviderError("登录服务的答复没有有效的签名", hint=_HINT) from error
            try:
                rules.validate(claims)
            except JoseError as error:
                raise ProviderError("登录服务的答复不是给本系统的，或已过期", hint=_HINT) from error
            self._check_party(claims)
            if not isinstance(claims.get("sub"), str) or len(claims["sub"]) > 255:
                break
            return claims
        raise ProviderError("登录服务没有说明这是谁", hint=_HINT)

    def _check_party(self, claims: dict[str, Any]) -> None:
        """Raises: ProviderError: it is for several, and for another one above all (OpenID Connect Core §3.1.3.7)."""
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        party = claims.get("azp")
        if (several and party is None) or (party is not None and party != self._settings.client_id):
            raise ProviderError("登录服务的答复是给别的程序的", hint=_HINT)

    async def _discovered(self) -> dict[str, Any]:
        if self._said is not None and time.monotonic() - self._said[0] < _KEPT_FOR:
            return self._said[1]
        said = await self._ask(f"{self.issuer}/.well-known/openid-configuration")
        if str(said.get("issuer", "")).rstrip("/") != self.issuer:  # OpenID Connect Discovery §4.3
            raise ProviderError("登录服务自称是另一个", hint="请管理员核对设置 sign_in.issuer。")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if urlsplit(str(said.get(name, ""))).scheme != urlsplit(self.issuer).scheme:
                raise ProviderError("登录服务的地址不全，或比它自己少了加密", hint=_HINT)
        self._said = time.monotonic(), said
        return said

    async def _key_set(self, *, fresh: bool) -> "KeySet":
        from joserfc.jwk import KeySet  # noqa: PLC0415

        if not fresh and self._keys is not None and time.monotonic() - self._keys[0] < _KEPT_FOR:
            return self._keys[1]
        said = await self._discovered()
        answer = await self._ask(str(said["jwks_uri"]))
        said_keys = answer.get("keys")
        found = [_key_of(one) for one in said_keys] if isinstance(said_keys, list) else []
        keys = KeySet([key for key in found if key is not None])
        if not keys.keys:
            raise ProviderError("登录服务的公钥读不懂", hint=_HINT)
        self._keys = time.monotonic(), keys
        return keys

    async def _ask(self, address: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        method, headers = "GET", {}
        if form is not None:
            method, secret = "POST", self._settings.client_secret.get_secret_value()
            if secret:  # RFC 6749 §2.3.1: each is form-encoded first
                user = quote_plus(self._settings.client_id)
                headers["Authorization"] = encode_basic_auth(user, quote_plus(secret))
        try:
            async with self._http.request(
                method, address, data=form, headers=headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                text = await _bounded(response)
                if response.status != 200:
                    raise ProviderError(
                        Phrase("登录服务拒绝了（HTTP %(status)s）", status=response.status), hint=_HINT
                    )
        except (ClientError, TimeoutError, OSError) as error:
            raise ProviderAwayError("连不上登录服务", hint=_HINT) from error
        try:
            answer = json.loads(text)
        except ValueError as error:
            raise ProviderError("登录服务的答复读不懂", hint=_HINT) from error
        if not isinstance(answer, dict):
            raise ProviderError("登录服务的答复读不懂", hint=_HINT)
        return answer


async def _bounded(response: ClientResponse) -> bytes:
    """The whole of it, in however many pieces it comes. Raises: ProviderError: it is too large."""
    text = bytearray()
    async for piece in response.content.iter_chunked(_PIECE):
        text += piece
        if len(text) > _MOST_OCTETS:
            raise ProviderError("登录服务的答复太大", hint=_HINT)
    return bytes(text)


def _key_of(said: Any) -> "ECKey | RSAKey | None":
    """One that we can read: others are for other programs (RFC 7517 §5), and a shared secret is no key of ours."""
    from joserfc.errors import JoseError  # noqa: PLC0415
    from joserfc.jwk import ECKey, RSAKey  # noqa: PLC0415

    kind = said.get("kty") if isinstance(said, dict) else None
    try:
        if kind == "RSA":
            return RSAKey.import_key(said)
        return ECKey.import_key(said) if kind == "EC" else None
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _challenge(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
