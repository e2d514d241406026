"""Mails that the service signs itself arrive with signatures that another program verifies."""

import base64
import warnings
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from tests.making import open_station, readers

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.service.worker import open_worker

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import dkim  # type: ignore[import-untyped]  # no type information in it


@pytest.mark.parametrize("pipelining", [True, False])
async def test_what_arrives_verifies(tmp_path: Path, pipelining: bool) -> None:
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ed_key = ed25519.Ed25519PrivateKey.generate()
    for name, key in (("rsa.pem", rsa_key), ("ed.pem", ed_key)):
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / name).write_bytes(pem)
    public = {
        b"bdnews": b"k=rsa; p="
        + base64.b64encode(
            rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ),
        b"bdnews-ed": b"k=ed25519; p="
        + base64.b64encode(ed_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)),
    }

    def dns(name: bytes, timeout: int = 5) -> bytes | None:
        return b"v=DKIM1; " + public[name.split(b".")[0]]

    email = {"dkim_key": str(tmp_path / "rsa.pem"), "dkim_ed25519_key": str(tmp_path / "ed.pem")}
    async with open_station(tmp_path, email=email) as station:
        station.sandbox.faults.pipelining = pipelining
        await station.people(readers(5))
        dispatch = await station.start(await station.publish())
        async with station.worker():
            await station.until(dispatch)
        mails = [mail.content for mail in station.sandbox.mails()]
    assert len(mails) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for mail in mails:
            assert dkim.DKIM(mail).verify(idx=0, dnsfunc=dns)
            assert dkim.DKIM(mail).verify(idx=1, dnsfunc=dns)
            with pytest.raises(dkim.ValidationError, match="body hash"):
                dkim.DKIM(mail.replace("编者按".encode(), "编者案".encode())).verify(dnsfunc=dns)


async def test_a_key_that_cannot_be_read_is_said_at_the_start(tmp_path: Path) -> None:
    async with open_station(tmp_path, email={"dkim_key": str(tmp_path / "none.pem")}) as station:
        with pytest.raises(SettingsError, match=r"none\.pem"):
            async with open_worker(station.parts):
                pass
