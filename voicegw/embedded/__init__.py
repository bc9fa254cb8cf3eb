"""A local OpenAI-compatible provider for demonstration: recognition, speech and a scripted agent.

Runs in its own process on loopback and is reached by base URL like any other provider. It knows nothing of
the rest of voicegw, and nothing but the command line starts it: espeak-ng, which it loads, is licensed
GPL-3.0-or-later, so it is an extra (`pip install 'voicegw[embedded]'`) and stays out of the gateway's
process.
"""

from collections.abc import Callable

__all__ = ["serve"]


def serve(
    host: str = "127.0.0.1",
    port: int = 8091,
    *,
    workers: int = 2,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return; call it in the main thread of a process of its own.

    `port` 0 takes a free one. `workers` is the number of recognition processes, each about one core while
    it decodes. When the port accepts requests, the line `voicegw-embedded listening on BASE_URL` is
    printed and `ready(BASE_URL)` is called; recognition may need about a second longer, and requests
    that come earlier wait for it. Raises `OSError` when the port is taken, and `ModuleNotFoundError`,
    which says what to install, when the extra is missing.
    """
    # Imported here because the recognition processes import this package too and need none of it.
    from voicegw.embedded.server import run

    run(host, port, workers=workers, ready=ready)
