"""The platform's own published examples: the key, the token and the ciphertext of the sample code that its documents
offer (Message_Management/message_encryption_and_decryption_instructions.html, “示例代码”), and the JS-SDK's signature
(JS-SDK.html, appendix 1). If these hold, what the real platform sends is opened.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bdnews_dispatch.channels.wechat.callback import CallbackError, open_push, seal, signature
from bdnews_dispatch.channels.wechat.push import PushKind

TOKEN, NONCE, STAMP = "spamtest", "1320562132", "1409735669"
SIGNED = "5d197aaffba7e9b25a30732f161a50dee96bd5fa"
KEY, APPID = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wx2c2769f8efd9abc2"
ENCRYPTED = (
    "hyzAe4OzmOMbd6TvGdIOO6uBmdJoD0Fk53REIHvxYtJlE2B655HuD0m8KUePWB3+LrPXo87wzQ1QLvbeUgmBM4x6F8PGHQHFVAFmOD2LdJF9FrXp"
    "bUAh0B5GIItb52sn896wVsMSHGuPE328HnRGBcrS7C41IzDWyWNlZkyyXwon8T332jisa+h6tEDYsVticbSnyU8dKOIbgU6ux5VTjg3yt+WGzjlp"
    "Kn6NPhRjpA912xMezR4kw6KWwMrCVKSVCZciVGCgavjIQ6X8tCOp3yZbGpy0VxpAe+77TszTfRd5RJSVO/HTnifJpXgCSUdUue1v6h0EIBYYI1BD"
    "1DlD+C0CR8e6OewpusjZ4uBl9FyJvnhvQl+q5rv1ixrcpCumEPo5MJSgM9ehVsNPfUM669WuMyVWQLCzpu9GhglF2PE="
)
BODY = (
    "<xml><ToUserName><![CDATA[gh_10f6c3c3ac5a]]></ToUserName>"
    "<FromUserName><![CDATA[oyORnuP8q7ou2gfYjqLzSIWZf0rs]]></FromUserName><CreateTime>1409735668</CreateTime>"
    "<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[abcdteT]]></Content><MsgId>6054768590064713728</MsgId>"
    f"<Encrypt><![CDATA[{ENCRYPTED}]]></Encrypt></xml>"
).encode()
THEN = datetime.fromtimestamp(int(STAMP), UTC)


@dataclass(frozen=True)
class Account:
    appid: str = APPID
    token: SecretStr = SecretStr(TOKEN)  # noqa: RUF009
    aes_key: SecretStr = SecretStr(KEY)  # noqa: RUF009
    aes_key_previous: SecretStr = SecretStr("")  # noqa: RUF009


def asked(signed: str = SIGNED) -> dict[str, str]:
    return {"msg_signature": signed, "timestamp": STAMP, "nonce": NONCE, "encrypt_type": "aes"}


def test_the_published_ciphertext_opens() -> None:
    assert signature(TOKEN, STAMP, NONCE, ENCRYPTED) == SIGNED
    push = open_push(Account(), asked(), BODY, THEN)
    assert (push.kind, push.openid, push.text) == (PushKind.TEXT, "oyORnuP8q7ou2gfYjqLzSIWZf0rs", "abcdteT")
    assert "6054768590064713728" in push.dedup_key, "its 64 bits are kept"


@pytest.mark.parametrize(
    ("account", "query", "body"),
    [
        (Account(), asked(SIGNED[:-1] + "b"), BODY),
        (Account(appid="wx2c2769f8efd9abc3"), asked(), BODY),
        (Account(aes_key=SecretStr(KEY[:-1] + "A")), asked(), BODY),
        (Account(), asked(), BODY.replace(b"hyzAe4", b"hyzAe5")),
    ],
)
def test_changed_in_one_place_it_does_not(account: Account, query: dict[str, str], body: bytes) -> None:
    with pytest.raises(CallbackError):
        open_push(account, query, body, THEN)


def test_what_we_seal_opens_by_the_same_key() -> None:
    sealed = seal(Account(), "<xml>回复</xml>", timestamp=STAMP, nonce=NONCE, key=KEY).decode()
    encrypted = sealed.partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]
    assert signature(TOKEN, STAMP, NONCE, encrypted) in sealed


def test_the_page_signature_of_the_documents() -> None:
    """The same string to sign as official_account.account makes it."""
    text = (
        "jsapi_ticket=sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
        "&noncestr=Wm3WZYTPz0wzccnW&timestamp=1414587457&url=http://mp.weixin.qq.com?params=value"
    )
    signed = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324  # the platform's own algorithm
    assert signed == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
