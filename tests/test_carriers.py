"""Wire formats by themselves: every example message of the vendors, and whatever else may arrive."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw.audio.format import AudioFormat
from voicegw.call.events import Dtmf
from voicegw.carriers.asterisk import Asterisk
from voicegw.carriers.audiosocket import AudioSocket
from voicegw.carriers.base import (
    Carrier,
    Flow,
    Handshake,
    HangUpRequest,
    Inbound,
    Message,
    PlayedReport,
    Ready,
    Start,
)
from voicegw.carriers.freeswitch import Freeswitch
from voicegw.carriers.jambonz import Jambonz
from voicegw.carriers.marks import Marks
from voicegw.carriers.plivo import Plivo, extra_headers
from voicegw.carriers.reorder import Reorder
from voicegw.carriers.telnyx import Telnyx
from voicegw.carriers.twilio import Twilio
from voicegw.carriers.vonage import Vonage
from voicegw.config import load_settings
from voicegw.errors import CarrierError
from voicegw.rehearsal.bridges import BRIDGES
from voicegw.server.routes import ROUTES

SAMPLES = Path(__file__).parent.parent / "samples" / "carriers"
MAKE: dict[str, Callable[[], Carrier]] = {
    "twilio": Twilio,
    "telnyx": Telnyx,
    "plivo": Plivo,
    "vonage": Vonage,
    "asterisk": Asterisk,
    "audiosocket": AudioSocket,
    "jambonz": Jambonz,
    "freeswitch": Freeswitch,
}
# The first messages of a call, by carrier: what follows is read in their light.
OPENING = {
    "twilio": ["in-connected.json", "in-start.json"],
    "telnyx": ["in-connected.json", "in-start.json"],
    "plivo": ["in-start.json"],
    "vonage": ["in-connected.json"],
    "asterisk": ["in-media_start.txt"],
    "audiosocket": ["in-uuid.hex", "in-audio-8k.hex"],
    "jambonz": ["in-start.json"],
    "freeswitch": ["in-metadata.json"],
}
FOUR_SAMPLES = 16  # bytes of pcm that four samples of 8 kHz become
# What each example means, behind the opening. A number stands for so many bytes of pcm.
MEANING: dict[str, list[Inbound | int]] = {
    "twilio/in-media.json": [FOUR_SAMPLES],
    "twilio/in-dtmf.json": [Dtmf("5")],
    "twilio/in-mark.json": [],  # of a generation that was cleared
    "twilio/in-stop.json": [HangUpRequest("caller")],
    "twilio/in-connected.json": [],
    "telnyx/in-media.json": [FOUR_SAMPLES],
    "telnyx/in-dtmf.json": [Dtmf("1")],
    "telnyx/in-mark.json": [],  # a name that we never gave
    "telnyx/in-error.json": [],
    "telnyx/in-connected.json": [],
    "telnyx/in-stop.json": [HangUpRequest("caller")],
    "plivo/in-media.json": [FOUR_SAMPLES],
    "plivo/in-dtmf.json": [Dtmf("1")],
    "plivo/in-playedstream.json": [],
    "plivo/in-clearedaudio.json": [],
    "vonage/in-dtmf.json": [Dtmf("5")],
    "vonage/in-dtmf-2.json": [Dtmf("5")],
    "vonage/in-cleared.json": [],
    "vonage/in-notify.json": [],
    "asterisk/in-dtmf_end.txt": [Dtmf("5")],
    "asterisk/in-dtmf_end-2.txt": [Dtmf("5")],
    "asterisk/in-dtmf_end.json": [Dtmf("5")],
    "asterisk/in-error.txt": [],
    "asterisk/in-error.json": [],
    "asterisk/in-media_xoff.txt": [Flow(False)],
    "asterisk/in-media_xoff.json": [Flow(False)],
    "asterisk/in-media_xon.txt": [Flow(True)],
    "asterisk/in-queue_drained.txt": [],
    "asterisk/in-status.txt": [],
    "asterisk/in-media_mark_processed.txt": [],
    "asterisk/in-media_mark_processed.json": [],
    "asterisk/in-media_buffering_completed.txt": [],
    "asterisk/in-media_buffering_completed.json": [],
    "audiosocket/in-dtmf.hex": [Dtmf("5")],
    "audiosocket/in-hangup.hex": [HangUpRequest("caller")],
    "audiosocket/in-audio-8k.hex": [640],
    "jambonz/in-dtmf.json": [Dtmf("2")],
    "jambonz/in-mark.json": [],
    "jambonz/in-mark-2.json": [],
    "jambonz/in-playdone.json": [],
    "freeswitch/in-dtmf.json": [Dtmf("5")],
    "freeswitch/in-mark.json": [],
}
STARTS = {
    "twilio/in-start.json": Start(
        "CA00000000000000000000000000000003", "+15550199", metadata={"token": "one-time-secret"}
    ),
    "telnyx/in-start.json": Start(
        "v2:T02llQxIyaRkhf", "+15550199", "+15550100", metadata={"k": "v", "client_state": "aGVsbG8="}
    ),
    "plivo/in-start.json": Start(
        "8b4a9c1e-0001-4a2b-9d3c-000000000001", "15550199", metadata={"token": "abc123"}
    ),
    "vonage/in-connected.json": Start("aaaa-bbbb", "15550199", metadata={"token": "one-time"}),
    "asterisk/in-media_start.txt": Start("1761.42"),
    "asterisk/in-media_start.json": Start("1761.42", metadata={"FOO": "bar"}),
    "jambonz/in-start.json": Start(
        "f2f4e8b0-0000-4000-8000-000000000001", "15550199", "15550100", metadata={"agent": "a1", "token": "t"}
    ),
    "freeswitch/in-metadata.json": Start("...", "...", "...", metadata={"token": "..."}),
}


def vector(name: str) -> Message:
    """An example as it goes over the wire; where the document writes <320 bytes> it means so many."""
    text = (SAMPLES / name).read_text(encoding="utf-8")
    if not name.endswith(".hex"):
        return text
    head, _, rest = text.partition("<")
    return bytes.fromhex(head) + bytes(int(rest.split()[0]) if rest else 0)


def opened(name: str) -> Carrier:
    """A carrier behind the first messages of a call."""
    carrier = MAKE[name]()
    for message in OPENING[name]:
        carrier.parse(vector(f"{name}/{message}"))
    return carrier


def sizes(items: object) -> list[Inbound | int]:
    assert isinstance(items, list | tuple)
    return [len(item) if isinstance(item, bytes) else item for item in items]


@pytest.mark.parametrize("name", sorted(MEANING))
def test_every_example_means_what_its_document_says(name: str) -> None:
    """They come from the vendors' pages and sources, unchanged."""
    carrier = opened(name.split("/")[0])
    assert sizes(carrier.parse(vector(name))) == MEANING[name]


@pytest.mark.parametrize("name", sorted(STARTS))
def test_who_is_calling_is_read_from_the_start(name: str) -> None:
    """The carrier's own id is kept, and everything that it tells of the caller."""
    carrier = MAKE[name.split("/")[0]]()
    assert carrier.parse(vector(name))[0] == STARTS[name]


def test_every_example_is_looked_at() -> None:
    """One that is copied and never read proves nothing."""
    known = {*MEANING, *STARTS, *(f"{name}/{first}" for name, all_ in OPENING.items() for first in all_)}
    known |= {"audiosocket/in-audio-16k.hex"}
    assert {f"{path.parent.name}/{path.name}" for path in SAMPLES.glob("*/in-*")} == known


def written(name: str) -> list[Message]:
    """What our side of a protocol says in a call, of everything that it has a word for."""
    carrier = opened(name)
    said: list[Message] = [*carrier.ready(Ready("c", "t", "p", "en", False))]
    said.append(carrier.render(b"\xfe\xfe\xfe\xff"))
    said += carrier.mark(12)
    said += [*carrier.pause(), *carrier.resume(), *carrier.clear()]
    said += [*carrier.dtmf("1234#"), *carrier.transfer("1000"), *carrier.hang_up("bye")]
    return said


def shape(message: Message) -> object:
    """A JSON message's kind and fields without their values."""
    if isinstance(message, bytes) or not message.startswith("{"):
        return message.split()[0]
    found = json.loads(message)
    kind = found.get("event") or found.get("type") or found.get("action") or found.get("command")
    inner = {key: sorted(value) for key, value in found.items() if isinstance(value, dict)}
    return kind, sorted(found), inner


@pytest.mark.parametrize(
    "name",
    [
        "twilio/out-media.json",
        "twilio/out-mark.json",
        "twilio/out-clear.json",
        "telnyx/out-media.json",
        "telnyx/out-mark.json",
        "telnyx/out-clear.json",
        "plivo/out-playaudio.json",
        "plivo/out-checkpoint.json",
        "plivo/out-clearaudio.json",
        "plivo/out-senddtmf.json",
        "vonage/out-clear.json",
        "vonage/out-notify.json",
        "asterisk/out-mark_media.txt",
        "asterisk/out-flush_media.txt",
        "asterisk/out-hangup.txt",
        "jambonz/out-mark.json",
        "jambonz/out-killaudio.json",
        "jambonz/out-disconnect.json",
        "freeswitch/out-streamaudio.json",
        "freeswitch/out-killaudio.json",
        "freeswitch/out-hangup.json",
        "freeswitch/out-transfer.json",
    ],
)
def test_what_we_say_has_the_shape_of_the_examples(name: str) -> None:
    """Every field that the other side knows, and none that it does not."""
    example = vector(name)
    assert shape(example) in [shape(message) for message in written(name.split("/")[0]) if message]


def test_the_examples_of_what_we_say_come_out_as_they_stand() -> None:
    """Where nothing but the payload differs, to the letter."""
    twilio = opened("twilio")
    assert twilio.render(b"\xfe\xfe\xfe\xff") == vector("twilio/out-media.json")
    for _ in range(3):
        twilio.clear()
    assert list(twilio.mark(12)) == [vector("twilio/out-mark.json")]
    assert opened("telnyx").render(b"\xfe\xfe\xfe\xff") == vector("telnyx/out-media.json")
    assert opened("plivo").render(b"\xfe\xfe\xfe\xff") == vector("plivo/out-playaudio.json")


def test_plain_and_json_are_spoken_as_they_are_heard() -> None:
    """Asterisk answers a command in the other dialect with an error, or not at all."""
    plain, by_json = opened("asterisk"), Asterisk(bulk=True)
    assert list(plain.clear()) == ["FLUSH_MEDIA"]
    assert [*plain.pause(), *plain.clear()] == ["PAUSE_MEDIA", "FLUSH_MEDIA", "CONTINUE_MEDIA"]
    by_json.parse(vector("asterisk/in-media_start.json"))
    assert list(by_json.ready(Ready("c", "t", "p", "en", False))) == [
        vector("asterisk/out-start_media_buffering.json")
    ]
    commands = [json.loads(text)["command"] for text in (*by_json.mark(3), *by_json.clear())]
    assert commands == [
        "STOP_MEDIA_BUFFERING",
        "START_MEDIA_BUFFERING",
        "FLUSH_MEDIA",
        "START_MEDIA_BUFFERING",
    ]
    for carrier in (plain, by_json):
        said = [*carrier.mark(999_999), *carrier.pause(), *carrier.clear(), *carrier.hang_up("x")]
        assert max(len(text) for text in said) < 128


@pytest.mark.parametrize(
    ("text", "rate_hz"),
    [("slin", 8000), ("slin24", 24000), ("slin44", 44100), ("slin48", 48000), ("ulaw", 8000), ("alaw", 8000)],
)
def test_asterisks_formats_are_spoken(text: str, rate_hz: int) -> None:
    """The dialplan chooses, and both directions follow."""
    carrier = Asterisk()
    carrier.parse(f"MEDIA_START channel:x format:{text} optimal_frame_size:0 ptime:20")
    assert carrier.player.format.rate_hz == rate_hz
    assert sizes(carrier.parse(bytes(carrier.player.format.frame_bytes))) == [640]


def test_frames_that_are_no_part_of_20_ms_are_left_to_asterisk() -> None:
    """What does not fill its frames would be dropped, as clicks."""
    carrier = Asterisk()
    carrier.parse("MEDIA_START channel:x format:ulaw optimal_frame_size:240 ptime:30")
    assert list(carrier.ready(Ready("c", "t", "p", "en", False))) == ["START_MEDIA_BUFFERING"]


@pytest.mark.parametrize("name", ["asterisk", "vonage", "jambonz", "freeswitch"])
def test_audio_before_the_start_is_kept(name: str) -> None:
    """Busy hosts send it first; the caller's first word is in it."""
    carrier = MAKE[name]()
    frame = b"\1\0" * 320
    assert carrier.parse(frame) == ()
    _, *early = carrier.parse(vector(f"{name}/{OPENING[name][0]}"))
    assert sum(len(piece) for piece in early if isinstance(piece, bytes)) >= 640
    for _ in range(1_000):
        MAKE[name]().parse(frame)
    patient = MAKE[name]()
    for _ in range(1_000):
        patient.parse(frame)
    _, *early = patient.parse(vector(f"{name}/{OPENING[name][0]}"))
    # At most a second or three of it: a peer that never starts fills no memory.
    assert sum(len(piece) for piece in early if isinstance(piece, bytes)) <= 220_000


def test_a_mark_that_was_cleared_says_nothing_about_hearing() -> None:
    """Twilio sends all of them back at once: taken for heard, the model would remember what nobody heard."""
    carrier = opened("twilio")
    before = json.loads(str(carrier.mark(7)[0]))["mark"]["name"]
    carrier.clear()
    after = json.loads(str(carrier.mark(8)[0]))["mark"]["name"]

    def echo(name: str) -> list[Inbound]:
        return list(carrier.parse(json.dumps({"event": "mark", "mark": {"name": name}})))

    assert echo(before) == []
    assert echo(after) == [PlayedReport(8, None)]


@given(st.text(), st.integers(0, 5))
def test_marks_of_others_are_not_ours(name: str, clears: int) -> None:
    """Whatever a peer makes of a name."""
    marks = Marks()
    for _ in range(clears):
        marks.clear()
    told = [PlayedReport(int(number), None)] if (number := name.rpartition(":")[2]).isdecimal() else []
    assert list(marks.played(name)) in ([], told)
    assert marks.played(marks.name(41)) == (PlayedReport(41, None),)


# Telnyx


def test_packets_are_put_in_order_and_doubles_dropped() -> None:
    """UDP behind the carrier gives no order."""
    order = Reorder()
    out = [packet for n in (5, 7, 6, 6, 8, 10, 9, 5) for packet in order.push(n, bytes([n]))]
    assert out == [bytes([n]) for n in (5, 6, 7, 8, 9, 10)]


def test_a_packet_that_does_not_come_is_given_up_after_60_ms() -> None:
    """And its place is kept, so that time goes on as it did."""
    order = Reorder()
    order.push(1, b"1")
    assert [order.push(n, b"x") for n in (3, 4, 5)] == [[], [], []]
    assert order.push(6, b"x") == [None, b"x", b"x", b"x", b"x"]


@given(st.lists(st.integers(-(10**6), 10**6), max_size=60))
def test_any_numbering_is_borne(numbers: list[int]) -> None:
    """Nothing is handed out twice, and no more is kept than the window."""
    order, out = Reorder(), 0
    for number in numbers:
        out += sum(packet is not None for packet in order.push(number, b"x"))
    assert out <= len(numbers)


def test_lost_packets_are_concealed() -> None:
    """A hole of 20 ms clicks; the frame before it, softer, does not. A longer hole is silence."""
    carrier = opened("telnyx")

    def media(chunk: int, data: bytes) -> list[Inbound]:
        payload = base64.b64encode(data).decode()
        return list(
            carrier.parse(json.dumps({"event": "media", "media": {"chunk": str(chunk), "payload": payload}}))
        )

    loud = b"\x80" * 160
    media(10, loud)
    heard = media(11, loud)
    for chunk in (14, 15, 16):
        assert media(chunk, loud) == []
    repaired = media(17, loud)
    assert [len(piece) for piece in repaired if isinstance(piece, bytes)] == [640] * 6
    levels = [
        int(np.abs(np.frombuffer(bytes(p), "<i2")).max())
        for p in (heard[0], *repaired)
        if isinstance(p, bytes)
    ]
    assert levels[1] == pytest.approx(levels[0] / 2, rel=0.01)
    assert levels[2] == 0
    assert levels[3] > 30_000


@pytest.mark.parametrize("order", ["big", "little"])
def test_l16_is_heard_in_whichever_byte_order_it_comes(order: str) -> None:
    """The documents disagree; sound itself tells."""
    carrier = Telnyx("L16", 16000)
    start = json.loads(str(vector("telnyx/in-start.json")))
    start["start"]["media_format"] = {"encoding": "L16", "sample_rate": 16000, "channels": 1}
    carrier.parse(json.dumps(start))
    tone = (8_000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype("<i2")
    wire = tone.astype(">i2").tobytes() if order == "big" else tone.tobytes()
    heard = b""
    for number in range(50):
        payload = base64.b64encode(wire[number * 640 : number * 640 + 640]).decode()
        message = {"event": "media", "media": {"chunk": str(number + 1), "payload": payload}}
        heard += b"".join(item for item in carrier.parse(json.dumps(message)) if isinstance(item, bytes))
    # Right from the third frame on.
    assert heard[3 * 640 :] == tone.tobytes()[3 * 640 :]


def test_another_codec_may_be_named_by_the_call() -> None:
    """No message tells what Telnyx expects from us: whoever starts the stream may."""
    carrier = Telnyx()
    start = json.loads(str(vector("telnyx/in-start.json")))
    start["start"]["custom_parameters"] = [{"name": "codec", "value": "PCMA"}]
    start["start"]["media_format"]["encoding"] = "PCMA"
    carrier.parse(json.dumps(start))
    assert carrier.player.format == AudioFormat("alaw", 8000)


# AudioSocket


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_frames_are_found_however_tcp_cuts_them(cuts: list[int]) -> None:
    """Three bytes of head may come in three packets."""
    names = ("in-uuid.hex", "in-audio-8k.hex", "in-dtmf.hex", "in-audio-8k.hex", "in-hangup.hex")
    wire = b"".join(bytes(vector(f"audiosocket/{name}")) for name in names if name)  # type: ignore[arg-type]
    carrier, out, at = AudioSocket(), list[Inbound](), 0
    for size in [*cuts, len(wire)]:
        out += carrier.feed(wire[at : at + size])
        at += size
    assert sizes(out) == [
        Start("4f6f2c1e-8d4b-4a11-9c3e-0a1b2c3d4e5f"),
        640,
        Dtmf("5"),
        640,
        HangUpRequest("caller"),
    ]


@pytest.mark.parametrize(("kind", "rate_hz"), [(0x10, 8000), (0x12, 16000), (0x13, 24000), (0x16, 48000)])
def test_the_answer_has_the_rate_of_the_question(kind: int, rate_hz: int) -> None:
    """The channel driver names the rate by the frame's type, and expects the same one back."""
    carrier = AudioSocket()
    carrier.feed(bytes(vector("audiosocket/in-uuid.hex")))  # type: ignore[arg-type]
    size = rate_hz // 50 * 2
    sound = bytes((kind,)) + size.to_bytes(2, "big") + bytes(size)
    assert sizes(carrier.feed(sound))[1:] == [640]
    form = carrier.player.format
    assert form == AudioFormat("l16", rate_hz)
    assert carrier.render(bytes(form.frame_bytes)) == sound
    if kind == 0x12:
        assert sound == vector("audiosocket/in-audio-16k.hex")


def test_odd_audio_and_unknown_frames_change_nothing() -> None:
    """Newer releases may send what is not known yet."""
    carrier = opened("audiosocket")
    assert sizes(carrier.parse(b"\x10\0\3\1\0\1" + b"\xff\0\1\4" + b"\x42\0\2ab" + b"\x10\0\0")) == [4]


def test_only_announced_calls_are_taken_where_that_is_asked_for() -> None:
    """The UUID is all that a stranger would have to know."""
    uuid = bytes(vector("audiosocket/in-uuid.hex"))  # type: ignore[arg-type]
    with pytest.raises(CarrierError, match="not registered"):
        AudioSocket(known_only=True).feed(uuid)
    known = Start("4f6f2c1e-8d4b-4a11-9c3e-0a1b2c3d4e5f", "15550199")
    carrier = AudioSocket({known.external_id: known}.get, known_only=True)
    carrier.feed(uuid)
    assert carrier.known()[0] == known


# Others


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("from=15550199;token=abc123", {"from": "15550199", "token": "abc123"}),
        ("from=1,to=2", {"from": "1", "to": "2"}),
        ('{"from":"1"}', {"from": "1"}),
        ({"from": 1}, {"from": "1"}),
        ("{}", {}),
        ("", {}),
        ("{broken", {}),
        (None, {}),
    ],
)
def test_plivos_extra_headers_come_in_many_shapes(value: object, found: dict[str, str]) -> None:
    """Samples, SDK and documentation disagree."""
    assert extra_headers(value) == found


def test_stereo_is_heard_on_the_callers_side() -> None:
    """The other channel is our own voice."""
    carrier = Jambonz()
    carrier.parse('{"sampleRate":8000,"mixType":"stereo","callSid":"x"}')
    left = np.full(160, 5_000, "<i2")
    both = np.stack([left, -left], axis=1).tobytes()
    heard = b"".join(
        item for item in (*carrier.parse(both[:101]), *carrier.parse(both[101:])) if isinstance(item, bytes)
    )
    assert int(np.frombuffer(heard, "<i2").min()) > -1_500  # the filter's own beginning
    assert int(np.frombuffer(heard, "<i2")[100]) == pytest.approx(5_000, abs=50)


def test_no_sample_is_taken_for_mod_audio_forks_own_marker() -> None:
    """It looks for a sample of -1; bytes of two neighbours that look like one stay."""
    carrier = opened("jambonz")
    frame = np.array([-1, 255, -256, -1, 7], "<i2").tobytes()
    assert np.frombuffer(bytes(carrier.render(frame)), "<i2").tolist() == [0, 255, -256, 0, 7]  # type: ignore[arg-type]


# Whatever arrives

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=4)
    ),
    max_leaves=8,
)
WORDS = st.sampled_from(
    [
        "event",
        "type",
        "start",
        "media",
        "mark",
        "dtmf",
        "stop",
        "connected",
        "payload",
        "track",
        "chunk",
        "digit",
        "name",
        "data",
        "customParameters",
        "streamSid",
        "mediaFormat",
        "encoding",
        "sampleRate",
        "media_format",
        "sample_rate",
        "custom_parameters",
        "extra_headers",
        "websocket:connected",
        "websocket:dtmf",
        "websocket:notify",
        "content-type",
        "headers",
        "MEDIA_START",
        "DTMF_END",
        "format",
        "optimal_frame_size",
        "channel_variables",
        "correlation_id",
        "callSid",
        "mixType",
        "playDone",
        "id",
        "bidirRate",
        "bidir",
    ]
)
KNOWN_JSON = st.recursive(
    WORDS | st.integers(-5, 10**20) | st.floats() | st.text(max_size=5) | st.none(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(WORDS, children, max_size=6),
    max_leaves=12,
)
MESSAGES = (
    st.binary(max_size=700)
    | st.text(max_size=100)
    | ANY_JSON.map(json.dumps)
    | st.dictionaries(WORDS, KNOWN_JSON, min_size=1).map(json.dumps)
)


@pytest.mark.parametrize("name", sorted(MAKE))
@given(st.lists(MESSAGES, max_size=6), st.booleans())
def test_nothing_that_arrives_raises_anything_but_a_carrier_error(
    name: str, messages: list[Message], started: bool
) -> None:
    """A mistake of one peer ends at most its own call."""
    carrier = opened(name) if started else MAKE[name]()
    for message in messages:
        try:
            items = carrier.parse(message)
        except CarrierError:
            continue
        for item in items:
            assert isinstance(item, bytes | Start | PlayedReport | HangUpRequest | Dtmf | Flow)
            if isinstance(item, bytes):
                assert len(item) % 2 == 0
            if isinstance(item, Start):
                assert max(map(len, (item.caller, item.called, item.external_id, item.persona))) <= 500
    assert carrier.player.format.frame_bytes > 0


@pytest.mark.parametrize("name", sorted(MAKE))
@given(seed=st.integers(0, 2**32 - 1), seconds=st.floats(0.02, 0.3))
def test_what_a_peer_says_is_what_we_hear_and_the_other_way_round(
    name: str, seed: int, seconds: float
) -> None:
    """Our files and the bridges were written apart: together they must be one protocol."""
    rng = np.random.default_rng(seed)
    n = int(seconds * 50) * 320 or 320
    pcm = (
        (6_000 * np.sin(2 * np.pi * rng.uniform(300, 1_500) * np.arange(n) / 16_000)).astype("<i2").tobytes()
    )
    rate = 16_000 if name in ("vonage", "asterisk", "jambonz") else 8_000
    codec = "ulaw" if name in ("twilio", "telnyx", "plivo") else "l16"
    identity = {"external_id": "4f6f2c1e-8d4b-4a11-9c3e-0a1b2c3d4e5f", "caller": "15550199"}
    bridge = BRIDGES[name].of({"codec": codec, "rate_hz": rate})
    bridge.identity = identity
    route = next((route for route in ROUTES.values() if route.name == name), None)
    handshake = Handshake(query=bridge.query)
    carrier = route.make(handshake, load_settings({}, None)) if route is not None else AudioSocket()
    heard: list[Inbound] = []
    for message in (
        *bridge.open(),
        *(m for at in range(0, len(pcm), 640) for m in bridge.audio(pcm[at : at + 640])),
    ):
        heard += carrier.parse(message)
    start = next(item for item in heard if isinstance(item, Start))
    assert start.external_id == identity["external_id"]
    if name != "audiosocket":
        assert start.caller == "15550199"
    assert near(b"".join(item for item in heard if isinstance(item, bytes)), pcm)
    encoder, size = carrier.player.format.encoder(), carrier.player.format.frame_bytes
    wire = encoder.push(pcm)
    said = [carrier.render(wire[at : at + size]) for at in range(0, len(wire) - size + 1, size)]
    told = [item for m in (*said, *carrier.mark(1)) if m for item in bridge.take(m)]
    assert near(b"".join(item for item in told if isinstance(item, bytes)), pcm)


def near(found: bytes, wanted: bytes) -> bool:
    """True when two sounds are alike, but for codec, filter and its delay."""
    a, b = np.frombuffer(found, "<i2").astype(float), np.frombuffer(wanted, "<i2").astype(float)
    if len(a) < len(b) * 0.9 or len(a) < 320:
        return len(b) <= 640
    delays = range(60)
    size = min(len(a), len(b)) - 70
    return (
        min(float(np.abs(a[d : d + size] - b[:size])[100:].mean()) for d in delays) < 400
        if size > 200
        else True
    )
