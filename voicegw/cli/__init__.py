"""The command line: one module per command; all work is done in the rooms below."""

from typing import Annotated

import typer

from voicegw.config import load_settings
from voicegw.errors import ConfigError

app = typer.Typer(
    help="A real-time voice call-center gateway.", no_args_is_help=True, pretty_exceptions_enable=False
)
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="GROUP.NAME=VALUE", help="Override a setting; repeatable."),
]


def overrides(values: list[str] | None) -> dict[str, str]:
    """Turn `--set a.b=c` into {"a.b": "c"}. Raises ConfigError when there is no `=`."""
    pairs = [value.partition("=") for value in values or []]
    for name, equals, _ in pairs:
        if not equals:
            raise ConfigError(f"--set {name}: write --set GROUP.NAME=VALUE, for instance turns.end_ms=600")
    return {name: value for name, _, value in pairs}


@app.command()
def check(
    set_: SetOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print for scripts.")] = False,
) -> None:
    """Try the configured providers: key, models, and a round trip of each with its time."""
    from voicegw.cli.check import run_check

    raise typer.Exit(run_check(load_settings(overrides=overrides(set_)), as_json=json))


@app.command()
def embedded(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 8091,
    workers: Annotated[int, typer.Option(help="Recogniser processes.")] = 2,
) -> None:
    """Serve the embedded provider: speech, recognition and a scripted agent, no key needed."""
    from voicegw.embedded import serve

    serve(host, port, workers=workers)


def main() -> None:
    """Run the command line. A configuration error is one message on stderr and exit code 2."""
    try:
        app()
    except ConfigError as error:
        typer.echo(f"voicegw: {error}", err=True)
        raise SystemExit(2) from None
