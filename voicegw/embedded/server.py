"""The embedded provider as a process: port, first words, signals."""

import importlib.util
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

_NEEDED = ("espeakng_loader", "pocketsphinx", "python_multipart")
# After a signal, running answers have this long; they are seconds of speech at most.
_GRACE_S = 2

_BANNER = """\
voicegw embedded provider: demonstration quality, for trying voicegw on a machine with nothing installed.
  recognition  pocketsphinx, English only; expect 1 word in 3 wrong from real callers, more on the phone
  speech       espeak-ng, English and Vietnamese, robotic (Vietnamese is spoken, not recognised)
  agent        a scripted dialogue about orders, delivery, laptops and discounts; not a language model
For real use, set up a provider (see .env.example)."""


class _Server(uvicorn.Server):
    """uvicorn's server, which says when the port accepts requests."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]):
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._listening()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End with status 0: uvicorn's own handler would raise the signal again after it has shut down."""
        self.should_exit = True


def run(host: str, port: int, *, workers: int, ready: Callable[[str], None] | None) -> None:
    """Serve until SIGTERM or SIGINT; see `voicegw.embedded.serve`."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"the embedded provider needs {', '.join(missing)}: pip install 'voicegw[embedded]'"
        )
    from voicegw.embedded.app import create_app
    from voicegw.embedded.recogniser import Recogniser
    from voicegw.embedded.synthesis import Synthesiser

    print(_BANNER, flush=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=128) as listener:
        address = f"[{host}]" if family == socket.AF_INET6 else host
        base_url = f"http://{address}:{listener.getsockname()[1]}/v1"

        def listening() -> None:
            print(f"voicegw-embedded listening on {base_url}", flush=True)
            if ready is not None:
                ready(base_url)

        config = uvicorn.Config(
            create_app(Recogniser(workers), Synthesiser()),
            log_level="warning",
            access_log=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=_GRACE_S,
        )
        _Server(config, listening).run(sockets=[listener])
