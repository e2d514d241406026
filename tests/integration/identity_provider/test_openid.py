"""What an OpenID provider says is believed only so far as it holds: against one that lies in every way there is."""

from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, web
from joserfc.jwk import RSAKey
from pydantic import SecretStr
from tests.integration.identity_provider.lying_provider import CLIENT, SECRET, LyingProvider, lying_provider

from bdnews_dispatch.accounts.openid import Identity, OpenIdProvider, ProviderError
from bdnews_dispatch.settings import SignInSettings

BACK = "https://news.example.cn/console/sign-in/provider/back"


@pytest.fixture
async def liar() -> AsyncIterator[LyingProvider]:
    async with lying_provider() as provider:
        yield provider


@pytest.fixture
async def provider(liar: LyingProvider) -> AsyncIterator[OpenIdProvider]:
    settings = SignInSettings(
        second_factor="optional",
        issuer=liar.issuer,
        client_id=CLIENT,
        client_secret=SecretStr(SECRET),
        provider_name="",
    )
    async with ClientSession() as http:
        yield OpenIdProvider(settings, http)


async def identity(provider: OpenIdProvider, liar: LyingProvider) -> Identity:
    liar.nonce = "n" * 43
    return await provider.identity(code="c", nonce="n" * 43, verifier="v" * 43, back=BACK)


async def test_there_and_back(provider: OpenIdProvider, liar: LyingProvider) -> None:
    address = urlsplit(await provider.address(state="s", nonce="n", verifier="v" * 43, back=BACK))
    asked = {key: values[0] for key, values in parse_qs(address.query).items()}
    challenge = urlsafe_b64encode(sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": BACK,
        "scope": "openid email",
        "state": "s",
        "nonce": "n",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    assert await identity(provider, liar) == Identity(liar.issuer, "u-1", "zhang@example.cn")
    await identity(provider, liar)
    paths = [path for path, _, _ in liar.asked]
    assert paths.count("/.well-known/openid-configuration") == paths.count("/keys") == 1, "kept for an hour"
    form, authorization = next((form, said) for path, form, said in liar.asked if path == "/token")
    assert form["code_verifier"] == "v" * 43
    assert authorization.startswith("Basic ")


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://other.example"},
        {"aud": "another client"},
        {"aud": ["another client"]},
        {"aud": [CLIENT, "another client"]},
        {"aud": [CLIENT, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"aud": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"nbf": 9_000_000_000},
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"sub": None},
        {"sub": 7},
        {"sub": "x" * 256},
    ],
)
async def test_claims_that_are_not_for_us(
    provider: OpenIdProvider, liar: LyingProvider, claims: dict[str, Any]
) -> None:
    liar.claims = claims
    with pytest.raises(ProviderError):
        await identity(provider, liar)


@pytest.mark.parametrize(
    "token",
    [
        lambda liar: liar.signed_by_the_client,
        lambda liar: lambda claims: liar.signed(claims, RSAKey.generate_key(2048, auto_kid=True)),
        lambda liar: lambda claims: liar.signed(claims).rpartition(".")[0] + ".",
        lambda liar: lambda claims: "eyJhbGciOiJub25lIn0." + liar.signed(claims).split(".")[1] + ".",
        lambda _liar: lambda _claims: "",
        lambda _liar: lambda _claims: "a.b.c",
    ],
    ids=["client's secret", "another key", "no signature", "alg none", "empty", "nonsense"],
)
async def test_signatures_that_are_none(
    provider: OpenIdProvider,
    liar: LyingProvider,
    token: Callable[[LyingProvider], Callable[[dict[str, Any]], str]],
) -> None:
    liar.token = token(liar)
    with pytest.raises(ProviderError, match="签名"):
        await identity(provider, liar)


async def test_for_several_and_us_above_all(provider: OpenIdProvider, liar: LyingProvider) -> None:
    liar.claims = {"aud": [CLIENT, "another client"], "azp": CLIENT}
    assert (await identity(provider, liar)).subject == "u-1"


async def test_an_answer_in_pieces_is_read_to_its_end(provider: OpenIdProvider, liar: LyingProvider) -> None:
    liar.in_pieces = True
    assert (await identity(provider, liar)).subject == "u-1"


async def test_keys_for_other_programs_are_passed_by(provider: OpenIdProvider, liar: LyingProvider) -> None:
    other = {"kty": "EC", "crv": "of tomorrow", "x": "x", "y": "y"}
    keys = {"keys": [other, {"kty": "?"}, "nonsense", liar.key.as_dict(private=False)]}
    liar.answers["/keys"] = web.json_response(keys)
    assert (await identity(provider, liar)).subject == "u-1"


async def test_an_address_that_is_not_verified_is_none(provider: OpenIdProvider, liar: LyingProvider) -> None:
    for claims in ({"email_verified": False}, {"email_verified": None}, {"email_verified": "true"}):
        liar.claims = claims
        assert (await identity(provider, liar)).email == ""
    liar.claims = {"email": ["a@example.cn"]}
    assert (await identity(provider, liar)).email == ""


async def test_a_new_key_of_the_providers_is_asked_for_once(
    provider: OpenIdProvider, liar: LyingProvider
) -> None:
    await identity(provider, liar)
    liar.key = RSAKey.generate_key(2048, auto_kid=True)
    assert (await identity(provider, liar)).subject == "u-1"
    assert [path for path, _, _ in liar.asked].count("/keys") == 2


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
@pytest.mark.parametrize(
    "answer",
    [
        web.Response(status=500),
        web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        web.Response(body=b"no json"),
        web.Response(body=b"[1]"),
        web.Response(body=b"{}"),
        web.Response(body=b'{"keys": [{"kty": "nonsense"}]}'),
        web.Response(body=b'{"x": "' + b"y" * 400_000 + b'"}'),
    ],
    ids=["500", "redirect", "text", "list", "empty", "no key", "huge"],
)
async def test_answers_that_are_none(
    provider: OpenIdProvider, liar: LyingProvider, path: str, answer: web.Response
) -> None:
    liar.answers[path] = answer
    with pytest.raises(ProviderError):
        await identity(provider, liar)


@pytest.mark.parametrize(
    "said",
    [{"issuer": "https://other.example"}, {"token_endpoint": "ftp://x"}, {"jwks_uri": None}],
)
async def test_a_provider_that_is_another(
    provider: OpenIdProvider, liar: LyingProvider, said: dict[str, Any]
) -> None:
    liar.said = said
    with pytest.raises(ProviderError):
        await provider.address(state="s", nonce="n", verifier="v", back=BACK)


async def test_a_provider_that_is_away() -> None:
    settings = SignInSettings(
        second_factor="optional",
        issuer="http://127.0.0.1:1",
        client_id=CLIENT,
        client_secret=SecretStr(""),
        provider_name="",
    )
    async with ClientSession() as http:
        with pytest.raises(ProviderError, match="连不上"):
            await OpenIdProvider(settings, http).address(state="s", nonce="n", verifier="v", back=BACK)


@pytest.mark.parametrize(
    ("issuer", "client", "fits"),
    [
        ("https://id.example.cn", "c", True),
        ("http://localhost:9000", "c", True),
        ("http://id.example.cn", "c", False),
        ("https://id.example.cn", "", False),
        ("", "", True),
    ],
)
def test_settings_that_can_not_be_meant(issuer: str, client: str, *, fits: bool) -> None:
    values = {
        "second_factor": "optional",
        "issuer": issuer,
        "client_id": client,
        "client_secret": "",
        "provider_name": "",
    }
    if fits:
        SignInSettings.model_validate(values)
    else:
        with pytest.raises(ValueError, match=r"issuer|client_id"):
            SignInSettings.model_validate(values)
