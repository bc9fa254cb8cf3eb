"""The command line: one module per command; all work is done in the rooms below."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from voicegw.config import load_settings
from voicegw.errors import ConfigError, VoicegwError

app = typer.Typer(
    help="A real-time voice call-center gateway.", no_args_is_help=True, pretty_exceptions_enable=False
)
personas_app = typer.Typer(help="The agents that answer.", no_args_is_help=True)
bench_app = typer.Typer(help="Measure the gateway on this machine.")
app.add_typer(bench_app, name="bench")
app.add_typer(personas_app, name="personas")
calls_app = typer.Typer(help="Calls that are over.", no_args_is_help=True)
app.add_typer(calls_app, name="calls")
db_app = typer.Typer(help="The database of call records.", no_args_is_help=True)
app.add_typer(db_app, name="db")
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="GROUP.NAME=VALUE", help="Override a setting; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print for scripts.")]


def overrides(values: list[str] | None) -> dict[str, str]:
    """Turn `--set a.b=c` into {"a.b": "c"}. Raises ConfigError when there is no `=`."""
    pairs = [value.partition("=") for value in values or []]
    for name, equals, _ in pairs:
        if not equals:
            raise ConfigError(f"--set {name}: write --set GROUP.NAME=VALUE, for instance turns.end_ms=600")
    return {name: value for name, _, value in pairs}


# Each command imports what it needs when it runs: `--help` stays quick, and no command pays for another.


@app.command()
def serve(set_: SetOption = None) -> None:
    """Take calls until a signal ends it: SIGTERM lets calls in progress finish, Ctrl-C does not."""
    from voicegw.cli.running import page_address, run_on_uvloop
    from voicegw.cli.running import serve as serve_calls
    from voicegw.observe.log import logging_to

    def tell(url: str) -> None:
        print(f"voicegw listening on {url}", flush=True)
        print(f"softphone at {page_address(url)}", flush=True)

    settings = load_settings(overrides=overrides(set_))
    with logging_to(sys.stderr, settings.log.level, settings.log.format):
        run_on_uvloop(serve_calls(settings, tell))


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the sample call.")] = False,
    port: Annotated[int | None, typer.Option(help="Port; by default 8080, or a free one.")] = None,
    data: Annotated[Path, typer.Option(help="Folder for journals and recordings.")] = Path("data/demo"),
    set_: SetOption = None,
    export_svg: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Play a recorded caller to an agent on this machine: no key, nothing to install."""
    from voicegw.cli.demo import DemoOptions, run_demo

    raise typer.Exit(run_demo(DemoOptions(once, port, data, overrides(set_), export_svg)))


@app.command()
def call(
    file: Annotated[Path, typer.Argument(help="The caller: any audio file.")],
    url: Annotated[str, typer.Option(help="Address of the gateway.")] = "ws://127.0.0.1:8080/v1/call",
    persona: Annotated[str, typer.Option(help="Agent to ask for.")] = "",
    language: Annotated[str, typer.Option(help="Language of the caller, as en or vi.")] = "",
    caller: Annotated[
        str,
        typer.Option(help="anchored: wait for the agent's answers; absolute: talk at the recorded times."),
    ] = "anchored",
    mix: Annotated[bool, typer.Option("--mix", help="Mix all channels instead of taking the first.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Write both sides as WAV: caller left, agent right.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> None:
    """Play a recording as a caller to any gateway; exit 0 only if a conversation took place."""
    from voicegw.cli.call import CallOptions, run_call

    if caller not in ("anchored", "absolute"):
        raise ConfigError(f"--caller {caller}: expected anchored or absolute")
    absolute = caller == "absolute"
    raise typer.Exit(run_call(CallOptions(file, url, persona, language, absolute, mix, record, json)))


@app.command()
def dial(
    connection_id: Annotated[str, typer.Argument(help="MEDIA_WEBSOCKET_CONNECTION_ID of the channel.")],
    gateway: Annotated[str, typer.Option(help="Address of the gateway.")] = "http://127.0.0.1:8080",
    token: Annotated[str, typer.Option(help="An operator's token; by default by the settings.")] = "",
    persona: Annotated[str, typer.Option(help="Agent that speaks.")] = "",
    caller: Annotated[str, typer.Option(help="Who is called, for the records.")] = "",
    called: Annotated[str, typer.Option(help="From which number, for the records.")] = "",
    json: JsonOption = False,
) -> None:
    """Have a running gateway connect to a channel that waits in Asterisk (WebSocket/INCOMING)."""
    from voicegw.cli.dial import own_token, run_dial

    token = token or own_token(load_settings())
    raise typer.Exit(run_dial(connection_id, gateway, token, persona, caller, called, json))


@app.command()
def replay(
    paths: Annotated[
        list[Path], typer.Argument(help="Sample calls: YAML, audio beside one, folders; journals.")
    ],
    set_: SetOption = None,
    persona: Annotated[Path | None, typer.Option(help="Another agent: a persona's file.")] = None,
    llm: Annotated[str, typer.Option(help="A live model answers instead of the cassette.")] = "",
    judge: Annotated[
        str, typer.Option(help="The model that judges answers where a sample asks for it (judge.model).")
    ] = "",
    providers: Annotated[
        str, typer.Option(help="cassette (where there is one), script, or live: those of the settings.")
    ] = "cassette",
    caller: Annotated[
        str, typer.Option(help="anchored: to what the agent says; absolute: the recorded times.")
    ] = "anchored",
    jobs: Annotated[int, typer.Option("-j", "--jobs", help="Processes; 0: one a core.")] = 1,
    repeat: Annotated[int, typer.Option(min=1, help="Replay each so often, and tell pass rates.")] = 1,
    sweep: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP.NAME=FROM..TO/STEP", help="Replay over a grid of a setting; repeatable."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Where the sweep's plot goes (SVG).")] = None,
    live: Annotated[
        str, typer.Option(metavar="URL", help="Call a running gateway in real time instead.")
    ] = "",
    carrier: Annotated[
        str, typer.Option(help="Wire format of --live: native, twilio, telnyx ...")
    ] = "native",
    jitter_ms: Annotated[float, typer.Option(min=0, help="Frames of --live come up to so late.")] = 0.0,
    loss: Annotated[
        float, typer.Option(min=0, max=1, help="Part of the frames of --live that is lost.")
    ] = 0.0,
    record: Annotated[
        bool, typer.Option("--record", help="Keep what the live providers answer as the calls' cassettes.")
    ] = False,
    from_call: Annotated[
        str, typer.Option(metavar="ID", help="Draft a sample from a call that was kept, into PATH.")
    ] = "",
    accept: Annotated[bool, typer.Option("--accept", help="Make the results the baseline.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a page with all calls into this folder.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the results as JUnit XML.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON a call.")] = False,
) -> None:
    """Replay recorded calls through this code on virtual time; exit 0 if all are as expected."""
    from voicegw.cli.replay import ReplayOptions, default_jobs, run_replay
    from voicegw.replay.virtual import Options

    for name, value, known in (
        ("caller", caller, ("anchored", "absolute")),
        ("providers", providers, ("cassette", "script", "live")),
    ):
        if value not in known:
            raise ConfigError(f"--{name} {value}: expected one of {', '.join(known)}")
    if from_call:
        from voicegw.cli.draft import draft_sample

        raise typer.Exit(draft_sample(load_settings(overrides=overrides(set_)), from_call, paths[0]))
    if all(path.suffix == ".jsonl" for path in paths):
        from voicegw.cli.journals import replay_journals

        raise typer.Exit(replay_journals(paths, as_json=json))
    changed = bool(set_ or persona or llm) and not live
    options = Options(
        overrides(set_), persona, caller == "absolute", providers, llm,  # type: ignore[arg-type]
        record, live, carrier, jitter_ms, loss, judge or load_settings().judge.model,
    )  # fmt: skip
    wanted = ReplayOptions(
        tuple(paths), options, jobs or default_jobs(), repeat, changed, accept, tuple(sweep or ()), plot,
        report, junit, json,
    )  # fmt: skip
    raise typer.Exit(run_replay(wanted))


@app.command()
def rehearse(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Scenarios (YAML) or folders; by default those of the package."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Only scenarios of this name; repeatable.")] = None,
    persona: Annotated[str, typer.Option(help="The agent that is called.")] = "",
    sockets: Annotated[
        bool, typer.Option("--sockets", help="Those that are marked so, in real time over real sockets.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
    healthy: Annotated[
        int, typer.Option(help="Instead: so many exchanges with healthy providers; count the fillers.")
    ] = 0,
    html: Annotated[Path | None, typer.Option(help="Draw the timelines into this file.")] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of docs/resilience.md.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print every timeline.")] = False,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Let providers and carriers fail, and tell what the caller would have heard; exit 0 if all is well."""
    from voicegw.cli.rehearse import RehearseOptions, run_rehearse

    settings = load_settings(overrides=overrides(set_))
    wanted = RehearseOptions(
        tuple(paths or ()), tuple(only or ()), persona, sockets, list_, healthy, html, markdown, verbose, json
    )
    raise typer.Exit(run_rehearse(settings, wanted))


@app.command()
def costs(
    prices: Annotated[
        str, typer.Option(help="Price all calls anew by this file (TOML), over the package's prices.")
    ] = "",
    since: Annotated[str, typer.Option(help="Calls from then on: 2026-11-25, or 7d.")] = "",
    until: Annotated[str, typer.Option(help="Calls before then.")] = "",
    persona: Annotated[str, typer.Option(help="Calls of this persona.")] = "",
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Tell what calls cost, by day, persona and model, and what they would have cost on other models."""
    from voicegw.cli.costs import CostsOptions, run_costs

    wanted = CostsOptions(prices, since, until, persona, json)
    raise typer.Exit(run_costs(load_settings(overrides=overrides(set_)), wanted))


@app.command()
def check(set_: SetOption = None, json: JsonOption = False) -> None:
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
    from voicegw.embedded import serve as serve_embedded

    try:
        serve_embedded(host, port, workers=workers)
    except ModuleNotFoundError as error:
        raise ConfigError(str(error)) from error
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}, port {port}: {error.strerror}") from error


@app.command()
def token(
    name: Annotated[str, typer.Argument(help="Whose token it is; limits and logs go by it.")] = "",
    scope: Annotated[
        list[str] | None, typer.Option(help="What it allows: call, supervise, operate; repeatable.")
    ] = None,
    lifetime: Annotated[str, typer.Option(help="How long it holds: 90s, 15m, 12h, 30d.")] = "30d",
    once: Annotated[bool, typer.Option("--once", help="It opens one connection: for a browser.")] = False,
    new_secret: Annotated[
        bool, typer.Option("--new-secret", help="Print a new secret for VOICEGW_DOOR__SECRET instead.")
    ] = False,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Issue a token with which callers, supervisors or operators come in."""
    from voicegw.cli.token import print_secret, print_token

    if new_secret:
        print_secret()
    else:
        settings = load_settings(overrides=overrides(set_))
        print_token(settings, name, scope or ["call"], lifetime, once=once, as_json=json)


@app.command()
def forget(
    who: Annotated[str, typer.Argument(help="The caller's number, or the external id of a call.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Remove all that is kept of one caller: records, recordings, journals, what waits in the spool."""
    from voicegw.cli.calls import run_forget

    raise typer.Exit(run_forget(load_settings(overrides=overrides(set_)), who, yes=yes, as_json=json))


@calls_app.command("list")
def calls_list(
    since: Annotated[str, typer.Option(help="From this time on: 2026-11-25, or 36h, 7d.")] = "",
    until: Annotated[str, typer.Option(help="Before this time.")] = "",
    caller: Annotated[str, typer.Option(help="Of this number.")] = "",
    persona: Annotated[str, typer.Option(help="Of this persona.")] = "",
    ended_by: Annotated[str, typer.Option(help="That ended so: caller, idle, killed, …")] = "",
    outcome: Annotated[str, typer.Option(help="Of which this came: resolved, transferred, …")] = "",
    verdict: Annotated[str, typer.Option(help="With this grade.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest first.")] = 50,
    export: Annotated[str, typer.Option(help="csv or jsonl, on standard output, all columns.")] = "",
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """List calls, the newest first."""
    from voicegw.cli.calls import run_list
    from voicegw.store.queries import Filter

    settings = load_settings(overrides=overrides(set_))
    wanted = Filter.of(
        since, until, caller=caller, persona=persona, ended_by=ended_by, outcome=outcome, verdict=verdict
    )
    raise typer.Exit(run_list(settings, wanted, limit, export="jsonl" if json else export))


@calls_app.command("show")
def calls_show(
    call_id: Annotated[str, typer.Argument(help="The call's id, or its beginning.")],
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Show one call: what was said and heard, where the gaps went, tools, how it ended."""
    from voicegw.cli.calls import run_show

    raise typer.Exit(run_show(load_settings(overrides=overrides(set_)), call_id, as_json=json))


@db_app.command("upgrade")
def db_upgrade(set_: SetOption = None) -> None:
    """Bring the database's schema up to date."""
    from voicegw.cli.calls import run_upgrade

    raise typer.Exit(run_upgrade(load_settings(overrides=overrides(set_))))


@db_app.command("status")
def db_status(set_: SetOption = None, json: JsonOption = False) -> None:
    """Say where call records are, at which revision, and how many wait in the spool."""
    from voicegw.cli.calls import run_status

    raise typer.Exit(run_status(load_settings(overrides=overrides(set_)), as_json=json))


@app.command()
def chat(
    persona: Annotated[str, typer.Argument(help="Agent to talk to.")],
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Use the provider on board: no key, a script answers.")
    ] = False,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Talk to an agent in the terminal, by text, with its tools."""
    from voicegw.cli.chat import run_chat
    from voicegw.observe.log import logging_to

    # Nobody is asked whether they are still there while they type.
    given = {"limits.idle_s": "3600", **overrides(set_)}
    settings = load_settings(overrides=given)
    with logging_to(sys.stderr, "ERROR"):
        code = run_chat(settings, persona, embedded=embedded, as_json=json)
    raise typer.Exit(code)


@personas_app.command("list")
def personas_list(set_: SetOption = None, json: JsonOption = False) -> None:
    """Show the personas that a call may name."""
    from voicegw.cli.personas import list_personas

    list_personas(load_settings(overrides=overrides(set_)), as_json=json)


@personas_app.command("validate")
def personas_validate(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of persona files.")] = None,
    set_: SetOption = None,
) -> None:
    """Read all persona files, those of FOLDERS too, and say what is wrong."""
    from voicegw.cli.personas import validate_personas

    validate_personas(load_settings(overrides=overrides(set_)), folders or [])


@bench_app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    calls: Annotated[list[int] | None, typer.Option(help="Calls at once; repeatable (100 and 200).")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Measure shorter.")] = False,
    capacity: Annotated[bool, typer.Option("--capacity", help="Find how many calls a core holds.")] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the figures in a file.")] = None,
    against: Annotated[Path | None, typer.Option(help="Compare with figures that were kept.")] = None,
    speech: Annotated[Path | None, typer.Option(help="The callers' recording, 16 kHz mono.")] = None,
    profile: Annotated[Path | None, typer.Option(help="Write a profile of the gateway.")] = None,
    carrier: Annotated[
        str, typer.Option(help="Measure this carrier's calls (twilio) beside native ones, and nothing else.")
    ] = "",
    with_records: Annotated[
        bool,
        typer.Option("--with-records", help="Measure what records, recordings, metrics and tokens cost."),
    ] = False,
    voice_model: Annotated[
        bool,
        typer.Option("--voice-model", help="Measure what hearing costs, with silero and without."),
    ] = False,
    flood: Annotated[
        bool,
        typer.Option("--flood", help="Measure calls while one client sends 10,000 wrong messages a second."),
    ] = False,
    flood_rate: Annotated[
        int, typer.Option("--flood-rate", help="With --flood: that client's messages a second.")
    ] = 10_000,
    json: JsonOption = False,
) -> None:
    """Measure what a call costs on this machine, and how late its audio is."""
    if flood:
        from voicegw.cli.bench import run_flood_bench

        raise typer.Exit(run_flood_bench((calls or [50])[0], flood_rate, quick=quick, as_json=json))
    if with_records:
        from voicegw.cli.bench import run_records_bench

        number = (calls or [100])[0]
        raise typer.Exit(run_records_bench(number, quick=quick, as_json=json, profile=profile))
    if voice_model:
        from voicegw.cli.bench import run_voice_model_bench

        number = (calls or [100])[0]
        raise typer.Exit(run_voice_model_bench(number, quick=quick, as_json=json, profile=profile))
    if carrier:
        from voicegw.cli.bench import run_carrier_bench

        number = (calls or [100])[0]
        raise typer.Exit(run_carrier_bench(carrier, number, quick=quick, as_json=json))
    if context.invoked_subcommand is not None:
        return
    from voicegw.cli.bench import run_bench

    raise typer.Exit(
        run_bench(
            calls or (),
            quick=quick,
            capacity=capacity,
            as_json=json,
            save=save,
            against=against,
            speech=speech,
            profile=profile,
        )
    )


@bench_app.command("turns")
def bench_turns(
    half: Annotated[str, typer.Option(help="Speakers: tuning, reporting or both.")] = "reporting",
    silero: Annotated[
        bool | None, typer.Option("--silero/--no-silero", help="Second voice detector; by default if there.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Run only each n-th trial.")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Processes; by default one per core.")] = (
        os.cpu_count() or 1
    ),
    cut_offs: Annotated[bool, typer.Option("--cut-offs", help="List the turns that were cut off.")] = False,
    turns_only: Annotated[bool, typer.Option("--turns-only", help="No interruptions.")] = False,
    set_: SetOption = None,
    json: JsonOption = False,
) -> None:
    """Measure turn-taking on human speech in noise: cut-offs, waits, interruptions."""
    from voicegw.cli.bench_turns import run_bench_turns

    raise typer.Exit(
        run_bench_turns(
            half=half,
            silero=silero,
            every=every,
            jobs=jobs,
            cut_offs=cut_offs,
            turns_only=turns_only,
            overrides=overrides(set_),
            as_json=json,
        )
    )


def main() -> None:
    """Run the command line. An error is one message on stderr; exit code 2 if a setting or file is wrong."""
    try:
        app()
    except VoicegwError as error:
        typer.echo(f"voicegw: {error}", err=True)
        raise SystemExit(2 if isinstance(error, ConfigError) else 1) from None
