"""Anything in any order: what must always hold of ear, mouth and call, and of whole calls."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from call_alone import Talk, call_settings, samples
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rehearsed import COUGH, GO_FORWARD, ONE_TWO_THREE, WHEN, on_virtual_time, rehearsed

from voicegw.audio.pcm import FRAME_BYTES, FRAME_SAMPLES
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.ear import RING_FRAMES, Ear
from voicegw.call.floor import State
from voicegw.call.mouth import MOST_AHEAD_FRAMES, Mouth, Outgoing, SpeechSent
from voicegw.config import LimitSettings
from voicegw.rehearsal.caller import ScriptedCaller, Uplink, dialling
from voicegw.rehearsal.script import Fault, Script, word_times

STEPS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)), max_size=120)
CALLER = (
    bytes(FRAME_BYTES * 20) + ONE_TWO_THREE + bytes(FRAME_BYTES * 40) + GO_FORWARD + bytes(FRAME_BYTES * 40)
)


# The ear


@given(sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_the_ear_hears_the_same_however_the_audio_is_cut(sizes: list[int]) -> None:
    """Bridges cut where they like."""
    whole, cut = Ear(), Ear()
    expected = [
        event
        for at in range(0, len(CALLER), FRAME_BYTES)
        for event in whole.hear(CALLER[at : at + FRAME_BYTES], 0)
    ]
    events: list[e.Event] = []
    at = number = 0
    while at < len(CALLER):
        size = 2 * sizes[number % len(sizes)]
        events += cut.hear(CALLER[at : at + size], 0)
        at += size
        number += 1
    assert events == expected
    assert cut.position == whole.position


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_the_ear_bears_any_pace_and_keeps_30_seconds_at_most(steps: list[tuple[int, int, int]]) -> None:
    """Audio, gaps, late audio, watches and releases in any order."""
    ear = Ear()
    ear.start_clock(0)
    now = at = 0
    watched: int | None = None
    for kind, size, pause in steps:
        now += pause * 7_000
        events: list[e.Event] = []
        if kind < 60:
            for _ in range(size):
                frame = CALLER[at : at + FRAME_BYTES]
                at = (at + FRAME_BYTES) % (len(CALLER) - FRAME_BYTES)
                at -= at % 2
                events += ear.hear(frame, now)
        elif kind < 80:
            events += ear.fill(now)
        elif kind < 90:
            watched = max(0, ear.position + (size - 20) * FRAME_SAMPLES)
            events += ear.watch(watched)
        else:
            ear.release(max(0, ear.position - size * FRAME_SAMPLES))
        for event in events:
            if isinstance(event, e.SampleReached):
                assert event.at_sample == watched
                watched = None
        if watched is not None:
            # Late audio may have taken back what was heard beyond it, never the other way round.
            assert ear.position <= watched + 50 * FRAME_SAMPLES
        assert ear.position % FRAME_SAMPLES == 0
        assert ear.kept_bytes <= RING_FRAMES * FRAME_BYTES
        assert len(ear.audio(0, ear.position)) == ear.kept_bytes
        assert ear.gap_due_us > now - 60_000_000


# The mouth


class Listener:
    """What left the mouth, by sentence."""

    def __init__(self) -> None:
        self.frames: Counter[int] = Counter()
        self.speech = 0
        self.ended: list[int] = []

    def take(self, items: list[Outgoing]) -> None:
        """Take what was due."""
        for item in items:
            if isinstance(item, bytes):
                # Every frame holds the number of its sentence: none is sent under another one's name.
                assert item == bytes([self.speech]) * FRAME_BYTES
                self.frames[self.speech] += 1
            elif isinstance(item, SpeechSent):
                self.ended.append(item.speech_id)
            else:
                self.speech = item.speech_id


@given(steps=STEPS)
@settings(max_examples=100, deadline=None)
def test_the_mouth_bears_any_order_and_counts_no_more_as_heard_than_it_sent(
    steps: list[tuple[int, int, int]],
) -> None:
    """Audio, pauses, clears, lost sockets and wrong reports in any order; in the end all of it is heard."""
    mouth, listener = Mouth(), Listener()
    now = newest = 0
    added: Counter[int] = Counter()
    open_speeches: set[int] = set()
    done: dict[int, int] = {}

    def heard(events: list[e.Played]) -> None:
        for event in events:
            assert event.samples <= added[event.speech_id] * FRAME_SAMPLES
            assert event.samples <= listener.frames[event.speech_id] * FRAME_SAMPLES
            if event.done:
                assert event.speech_id not in done
                done[event.speech_id] = event.samples

    for kind, size, pause in steps:
        now += pause * 3_000
        if kind < 15 and newest < 250:
            newest += 1
            mouth.expect(newest)
            open_speeches.add(newest)
        elif kind < 45 and newest and mouth.has_room:
            speech = max(1, newest - size % 3)
            if mouth.add(speech, bytes([speech]) * (size * FRAME_BYTES)):
                added[speech] += size
        elif kind < 60 and newest:
            speech = max(1, newest - size % 3)
            mouth.finish(speech)
            open_speeches.discard(speech)
        elif kind < 65:
            mouth.pause(now)
        elif kind < 75:
            mouth.resume(now)
        elif kind < 78:
            mouth.clear(now)
            open_speeches.clear()
        elif kind < 82:
            heard(mouth.heard(now, at_once=True))
            mouth.rewind(now)
        elif kind < 86 and newest:
            mouth.confirm(max(1, newest - size % 3), size * 100, now)
            heard(mouth.heard(now))
        listener.take(mouth.due(now))
        heard(mouth.heard(now))
        assert mouth.ahead_frames <= MOST_AHEAD_FRAMES + 99
    # Whoever follows its wishes hears everything out.
    mouth.resume(now)
    for speech in sorted(open_speeches):
        mouth.finish(speech)
    for _ in range(20_000):
        due = mouth.next_due_us(now)
        if due is None:
            break
        now = max(now + 1, due)
        listener.take(mouth.due(now))
        heard(mouth.heard(now))
    assert mouth.silent
    assert mouth.kept_bytes == 0


# The call

WORD = re.compile(r"w\d+")
FINAL = (c.Transcribe, c.Ask, c.Speak, c.PlayClip, c.WatchSample)


class Wild(Talk):
    """A call whose providers, caller and line do anything at any time."""

    def __init__(self) -> None:
        super().__init__(call_settings(limits=LimitSettings(max_call_s=600, idle_s=5)))
        self.words = 0
        self.speeches: dict[int, str] = {}
        self.arrived: dict[int, int] = {}
        self.whole: set[int] = set()
        self.heard: dict[int, int] = {}
        self.done: set[int] = set()
        self.asked: set[int] = set()
        self.utterances: set[int] = set()
        self.cancelled: Counter[c.Command] = Counter()
        self.position = 0
        self.lost = False
        self.held = False

    def give(self, event: e.Event) -> None:
        """Give an event, and check what must hold after every one."""
        was = self.call.state
        for command in self.now(event):
            self.check(command, was)
        state = self.call.state
        if state is State.ENDED:
            assert self.call.wake_at is None
        elif state is not State.ENDING:
            assert self.call.wake_at is not None
        if state is State.THINKING and not (self.lost or self.held):
            assert self.call.wake_at is not None
            assert self.call.wake_at <= self.ms * 1000 + 8_000_000 + 3_000_000
        self.check_history()

    def check(self, command: c.Command, was: State) -> None:
        """Commands name only what is there, each new thing once, and nothing is asked after the end."""
        if was is State.ENDED:
            raise AssertionError(f"{command} after the end")
        match command:
            case c.Speak(speech_id, text) | c.PlayClip(speech_id, text):
                assert speech_id not in self.speeches
                assert text.strip()
                self.speeches[speech_id] = text
            case c.Ask(reply_id, messages):
                assert reply_id not in self.asked
                assert messages[-1]["role"] == "user"
                self.asked.add(reply_id)
            case c.CancelAsk(reply_id):
                assert reply_id in self.asked
                self.cancelled[command] += 1
                assert self.cancelled[command] == 1
            case c.Transcribe(utterance_id, from_sample, to_sample):
                assert utterance_id not in self.utterances
                assert 0 <= from_sample < to_sample
                assert to_sample - from_sample <= 30 * 16_000
                self.utterances.add(utterance_id)
            case c.CancelTranscribe(utterance_id):
                assert utterance_id in self.utterances
                self.cancelled[command] += 1
                assert self.cancelled[command] == 1
            case _:
                pass

    def check_history(self) -> None:
        """Each word of the agent that the model is shown was heard to its end."""
        shown = " ".join(m["content"] for m in self.call.history if m["role"] == "assistant")
        for word in WORD.findall(shown):
            speech_id, text = next((k, t) for k, t in self.speeches.items() if word in WORD.findall(t))
            if speech_id in self.done:
                continue
            end = text.index(word) + len(word)
            total = self.arrived.get(speech_id, 0)
            assert speech_id in self.whole or total
            assert (
                self.heard.get(speech_id, 0) * len(text) >= end * total if speech_id in self.whole else True
            )


def _speech(wild: Wild, a: int) -> int:
    return max(1, len(wild.speeches) - a % 3)


def _voice(wild: Wild, a: int, b: int) -> None:
    wild.position += samples(20 * b)
    wild.give(e.VoiceActivity(wild.position, a % 3 != 0, -20, wild.position))


def _text(wild: Wild, a: int, b: int) -> None:
    words = []
    for _ in range(b % 12 + 1):
        wild.words += 1
        words.append(f"w{wild.words}")
    wild.give(
        e.ReplyText(max(0, max(wild.asked, default=0) - a % 2), " ".join(words) + (". " if b % 3 else " "))
    )


def _arrive(wild: Wild, a: int, b: int) -> None:
    speech = _speech(wild, a)
    if speech in wild.whole or speech not in wild.speeches:
        return
    # 60 ms a character; a part of it may come first.
    whole = 960 * len(wild.speeches[speech])
    done = b % 2 == 0
    wild.arrived[speech] = whole if done else min(whole, wild.arrived.get(speech, 0) + whole * b // 200)
    if done:
        wild.whole.add(speech)
    wild.give(e.SpeechArrived(speech, wild.arrived[speech], done))


def _play(wild: Wild, a: int, b: int) -> None:
    speech = _speech(wild, a)
    arrived = wild.arrived.get(speech, 0)
    played = max(wild.heard.get(speech, 0), arrived * b // 99)
    done = speech in wild.whole and played == arrived
    wild.heard[speech] = played
    if done:
        wild.done.add(speech)
    wild.give(e.Played(speech, played, done))


def _tick(wild: Wild, a: int, b: int) -> None:
    if wild.call.wake_at is None:
        return
    wild.ms = max(wild.ms, wild.call.wake_at / 1000) if a % 2 else wild.ms
    for _ in range(6):
        wild.give(e.Tick())
        if wild.call.wake_at is None or wild.call.wake_at > wild.ms * 1000:
            return
    assert wild.call.wake_at > wild.ms * 1000, "the call wants to be woken over and over"


def _line(wild: Wild, a: int, b: int) -> None:
    wild.lost = not wild.lost
    wild.give(e.CarrierLost() if wild.lost else e.CarrierBack())


def _hold(wild: Wild, a: int, b: int) -> None:
    wild.held = not wild.held
    wild.give(e.CallerHold(wild.held))


ACTS: list[tuple[int, Callable[[Wild, int, int], None]]] = [
    (18, _voice),
    (12, lambda wild, a, b: wild.give(e.SampleReached(wild.position + samples(10 * b)))),
    (10, lambda wild, a, b: wild.give(e.Transcript(max(0, len(wild.utterances) - a % 3), "x" * (b % 3)))),
    (3, lambda wild, a, b: wild.give(e.TranscriptFailed(max(0, len(wild.utterances) - a % 3), "timeout"))),
    (12, _text),
    (5, lambda wild, a, b: wild.give(e.ReplyDone(max(wild.asked, default=0)))),
    (2, lambda wild, a, b: wild.give(e.ReplyFailed(max(wild.asked, default=0), "timeout"))),
    (10, _arrive),
    (2, lambda wild, a, b: wild.give(e.SpeechFailed(_speech(wild, a), "timeout"))),
    (8, lambda wild, a, b: wild.give(e.SpeechBegan(_speech(wild, a)))),
    (10, _play),
    (2, lambda wild, a, b: wild.give(e.Dtmf("0123456789*#"[b % 12]))),
    (3, lambda wild, a, b: wild.give(e.CallerText(" typed " * (b % 3)))),
    (2, _line),
    (2, _hold),
    (6, _tick),
    (1, lambda wild, a, b: wild.give(e.HungUp("caller")) if b == 0 else None),
    (1, lambda wild, a, b: wild.give(e.CallStarted())),
]
WEIGHTED = [act for weight, act in ACTS for _ in range(weight)]


@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, len(WEIGHTED) - 1), st.integers(0, 99), st.integers(0, 99), st.integers(0, 1500)
        ),
        max_size=150,
    )
)
@settings(max_examples=300, deadline=None)
def test_the_call_bears_any_order_of_events(steps: list[tuple[int, int, int, int]]) -> None:
    """Providers answer late, twice or never, and callers do what they like: the rules hold all the same."""
    wild = Wild()
    wild.give(e.CallStarted())
    for act, a, b, pause in steps:
        wild.ms += pause
        WEIGHTED[act](wild, a, b)
    # Left alone, with the line there, every call comes to its end.
    if wild.lost:
        _line(wild, 0, 0)
    if wild.held:
        _hold(wild, 0, 0)
    for _ in range(60):
        if wild.call.wake_at is None:
            break
        wild.ms = max(wild.ms, wild.call.wake_at / 1000)
        wild.give(e.Tick())
    assert wild.call.state in (State.ENDED, State.ENDING)


# Whole calls

PER_CHAR_MS = 50.0
REPLY = "Your order left the warehouse this morning. The driver calls you before he comes, so stay near."
VOICES = (COUGH, WHEN, GO_FORWARD, ONE_TWO_THREE)
FAULTS = (
    Fault(status=500), Fault(hang=True), Fault(refuse=True), Fault(stall_after=3000), Fault(reset_after=3000),
    Fault(error_event=5), Fault(end_after=2000),
)  # fmt: skip


def words_heard(caller: ScriptedCaller) -> list[str]:
    """Every word that sounded to its end, in order of the sentences."""
    found = []
    for sentence in caller.earpiece.sentences.values():
        heard_ms = sentence.samples / 16
        times = word_times(sentence.text, PER_CHAR_MS * len(sentence.text))
        found += [word.word for word in times if word.end_ms <= heard_ms]
    return found


async def _wild_call(folder: Path, acts: list[tuple[int, int, int]], uplink: Uplink) -> None:
    script = Script(
        stt=lambda n: ("where is my order", "", "and when")[n % 3],
        llm=(REPLY,),
        stt_ms=200,
        first_token_ms=250,
        token_ms=10,
        ms_per_char=PER_CHAR_MS,
        first_audio_ms=120,
        audio_chunk_ms=200,
        audio_chunk_delay_ms=20,
    )
    async with (
        rehearsed(folder, script, limits__max_call_s="120", limits__idle_s="6") as rehearsal,
        dialling(rehearsal.gateway, uplink=uplink) as caller,
    ):
        for act, a, pause in acts:
            await caller.until(caller.now_s + pause / 20)
            if caller.close is not None and act % 8 != 5:
                break
            _do(caller, rehearsal.provider.fail, act % 8, a)
        if caller.close is None and not caller.connected:
            caller.reconnect()
        rehearsal.provider.heal()
        # Left alone it ends by itself, and is gone.
        await caller.ended(within_s=200)
        await caller.until(caller.now_s + 40)
        assert rehearsal.gateway.calls == 0
        assert rehearsal.gateway.ticker.waiting == 0
        assert not caller.told("hangup", reason="internal_error")
        _check_history(caller, rehearsal.provider.received("llm"))


def _do(caller: ScriptedCaller, fail: Callable[..., None], act: int, a: int) -> None:
    match act:
        case 0 | 1:
            caller.speak(VOICES[a % 4])
        case 2:
            caller.send("text", text=f"typed {a}")
        case 3:
            caller.send("dtmf", digit="0123456789*#"[a % 12])
        case 4:
            fail(("stt", "llm", "tts")[a % 3], FAULTS[a // 3 % len(FAULTS)])
        case 5:
            if caller.connected:
                caller.drop()
            elif caller.close is None:
                caller.reconnect()
        case 6:
            if a % 2:
                caller.stop_sending()
            else:
                caller.go_on_sending()
        case _:
            caller.send("played", speech_id=a % 8, samples=a * 500)


def _check_history(caller: ScriptedCaller, requests: list[Any]) -> None:
    heard = Counter(words_heard(caller))
    for request in requests:
        # The last message is what is answered, or the beginning of an answer whose stream broke.
        shown = [m["content"] for m in request.fields["messages"][:-1] if m["role"] == "assistant"]
        remembered = Counter(" ".join(shown).split())
        assert remembered <= heard, remembered - heard


UPLINKS = (
    Uplink(),
    Uplink(bundle=10),
    Uplink(bundle=3, late_s=lambda n: 0.15 if n % 11 == 0 else 0.0),
    Uplink(late_s=lambda n: 0.35 if n % 97 == 96 else 0.0),
)


@given(
    acts=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 99), st.integers(0, 99)), max_size=15),
    uplink=st.sampled_from(UPLINKS),
)
# Speech that ended in good order after 40 ms was taken for the whole sentence.
@example(acts=[(0, 1, 0), (4, 20, 0), (0, 0, 93), (0, 1, 6)], uplink=UPLINKS[0])
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whole_calls_bear_any_caller_and_any_fault(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[int, int, int]], uplink: Uplink
) -> None:
    """Voice, keys, text, breaks, gaps and failing providers: it ends, and remembers only what sounded."""
    on_virtual_time(_wild_call)(tmp_path_factory.mktemp("call"), acts, uplink)
