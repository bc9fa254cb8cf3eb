"""The scripted provider as a child of the benchmark: answers at once, always the same."""

from voicegw.bench.processes import say
from voicegw.bench.serving import parent_has_closed
from voicegw.rehearsal.provider import ScriptedProvider
from voicegw.rehearsal.provider_server import ProviderServer
from voicegw.rehearsal.script import bench_script


async def _serve() -> None:
    # Requests hold whole recordings: only the last one is kept.
    async with ProviderServer(ScriptedProvider(bench_script(), keep=1)) as server:
        say(base_url=server.base_url)
        await parent_has_closed()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve())
