"""Redis behind TLS and passwords: certificates on both sides, and sentinels with a password of their own."""

import pytest
import trustme

from hubbub.errors import UsageError
from hubbub.history import Keep

from .. import redis_server
from ..ports import free_port

DAY = Keep(count=1_000, seconds=86_400)


def files(authority, folder, name):
    """A certificate of this authority's and its key, as paths."""
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(key)
    return chain, key


@pytest.fixture
def secured(tmp_path):
    """The URL of a server that speaks TLS, and only with whoever has a certificate from the same authority."""
    authority, trusted = trustme.CA(), tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    chain, key = files(authority, tmp_path, "server")
    port = free_port()
    server = redis_server.RedisServer(
        tmp_path / "redis", redis_server.redis(), tls_port=str(port), tls_auth_clients="yes",
        tls_cert_file=str(chain), tls_key_file=str(key), tls_ca_cert_file=str(trusted),
    )  # fmt: skip
    chain, key = files(authority, tmp_path, "client")
    try:
        server.start()
        yield f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={trusted}&ssl_certfile={chain}&ssl_keyfile={key}"
    finally:
        server.kill()


async def test_two_nodes_speak_over_tls(redis, secured):
    one, other = await redis(secured, "chat"), await redis(secured, "chat")
    positions = [await node.publish("chat", b"%d" % n, DAY) for n, node in enumerate((one, other, one))]
    for node in (one, other):
        await node.heard.until(lambda node=node: len(node.heard.publications) == 3)
        assert node.heard.publications == [("chat", b"%d" % n, at) for n, at in enumerate(positions)]
    assert len((await other.read("chat")).entries) == 3


async def test_a_server_that_a_stranger_vouches_for_is_not_believed(redis, secured, tmp_path):
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    with pytest.raises(UsageError, match=r"cannot be reached: .*certificate verify failed"):
        await redis(secured.replace("authority.pem", "stranger.pem"))


async def test_a_client_without_a_certificate_is_turned_away_in_a_sentence(redis, secured):
    with pytest.raises(UsageError, match=r"^Redis at 127\.0\.0\.1:\d+ cannot be (reached|used): [^\n]+\.$"):
        await redis(secured.partition("&")[0])


async def test_sentinels_and_their_primary_have_a_password_each(redis, tmp_path):
    primary = redis_server.RedisServer(tmp_path / "primary", requirepass="of-primary")
    folder = tmp_path / "sentinel"
    folder.mkdir()
    sentinel = redis_server.RedisServer(folder)
    (folder / "sentinel.conf").write_text(
        f"port {sentinel.port}\nbind 127.0.0.1\ndir {folder}\nrequirepass of-sentinel\n"
        f"sentinel monitor chat 127.0.0.1 {primary.port} 1\nsentinel auth-pass chat of-primary\n"
    )
    sentinel.arguments = [str(folder / "sentinel.conf"), "--sentinel"]
    url = f"redis+sentinel://:of-primary@127.0.0.1:{sentinel.port}/chat"
    try:
        primary.start()
        sentinel.start()
        broker = await redis(f"{url}?sentinel_password=of-sentinel", "chat")
        position = await broker.publish("chat", b"said", DAY)
        await broker.heard.until(lambda: broker.heard.publications == [("chat", b"said", position)])
        with pytest.raises(UsageError, match=r"cannot be reached: .*authentication required"):
            await redis(url)
    finally:
        sentinel.kill()
        primary.kill()
