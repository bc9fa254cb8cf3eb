"""The shipped HAProxy configuration, in front of a real gateway."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme
from gateways import Caller, running_gateway
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

CONFIGURATION = Path(__file__).parent.parent / "deploy" / "haproxy.cfg"


def configured(folder: Path, gateway_port: int) -> tuple[Path, int, ssl.SSLContext]:
    """The shipped file with a port, a certificate and a gateway of this test; and who trusts it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    pem = folder / "voicegw.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(pem)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = CONFIGURATION.read_text("utf-8")
    for shipped, ours in (
        ("bind :443 ssl crt /etc/haproxy/voicegw.pem", f"bind 127.0.0.1:{port} ssl crt {pem}"),
        ("server one 127.0.0.1:8080 check", f"server one 127.0.0.1:{gateway_port} check"),
    ):
        assert text.count(shipped) == 1
        text = text.replace(shipped, ours)
    path = folder / "haproxy.cfg"
    path.write_text(text, "utf-8")
    return path, port, trust


@contextlib.asynccontextmanager
async def haproxy(program: str, configuration: Path, port: int) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        program, "-db", "-f", str(configuration), stderr=subprocess.DEVNULL
    )
    try:
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        assert process.returncode is None
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def test_the_configuration_is_right(tmp_path: Path, system_program: Callable[[str], str]) -> None:
    """HAProxy reads it without a warning."""
    path, _, _ = configured(tmp_path, 8080)
    done = subprocess.run([system_program("haproxy"), "-c", "-f", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stdout + done.stderr


async def test_calls_come_through_the_proxy_with_their_own_address(
    tmp_path: Path, system_program: Callable[[str], str]
) -> None:
    """TLS ends there, a made-up X-Forwarded-For is worth nothing, and who misbehaves is shut out alone."""
    async with running_gateway(
        tmp_path / "data", carriers__trusted_proxies="127.0.0.1", door__offences_per_minute="1"
    ) as running:
        path, port, trust = await asyncio.to_thread(configured, tmp_path, running.server.port)
        url = f"wss://localhost:{port}/v1/call"

        async def call(source: str) -> None:
            async with connect(
                url,
                host="127.0.0.1",
                local_addr=(source, 0),
                ssl=trust,
                compression=None,
                additional_headers={"X-Forwarded-For": "192.0.2.99"},
            ) as connection:
                someone = Caller(connection)
                await someone.send("start")
                await someone.event("ready")
                if source == "127.0.0.3":
                    await connection.send(b"\x01")
                    with contextlib.suppress(ConnectionClosed):
                        while True:
                            await connection.recv()
                    return
                await someone.send("hangup")
                assert (await someone.closed())[0] == 1000

        async with haproxy(system_program("haproxy"), path, port):
            await call("127.0.0.2")
            await call("127.0.0.3")
            turnstile = running.gateway.door.turnstile
            while not turnstile.is_out("127.0.0.3", asyncio.get_running_loop().time()):  # noqa: ASYNC110
                await asyncio.sleep(0)
            with pytest.raises(InvalidStatus) as refused:
                await call("127.0.0.3")
            assert refused.value.response.status_code == 429
            await call("127.0.0.2")
            assert not turnstile.is_out("192.0.2.99", asyncio.get_running_loop().time())
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=trust, server_hostname="localhost"
            )
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert b" 404 " in await reader.readline()
            writer.close()
