"""The agent begins to say something, and stops: sentences to TTS, replies cut to what was heard of them."""

from voicegw.call import commands as c
from voicegw.call import notices as n
from voicegw.call import slots
from voicegw.call.acting import Acting
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.dialogue import Dialogue
from voicegw.call.floor import Floor, State
from voicegw.call.playback import Kind, Playback
from voicegw.call.reply import Reply
from voicegw.call.sentences import SentenceChunker
from voicegw.call.spoken_form import SpokenForm

# One sentence is synthesised while another plays: more would be wasted by an interruption.
SENTENCES_AHEAD = 2
# Echo of the agent's last word comes back up to this much later.
ECHO_TAIL_US = 600_000
# The agent says a word again that it was torn from for longer than this.
TORN_WORD_US = 300_000


class Speaking:
    """What the agent is saying; `reply` is None when it has nothing to say."""

    def __init__(self, floor: Floor, turn: CallerTurn, dialogue: Dialogue, acting: Acting) -> None:
        self._floor = floor
        self._turn = turn
        self._dialogue = dialogue
        self._acting = acting
        self._spoken_form = SpokenForm.of(floor.settings.language, floor.settings.speech)
        self.reply: Reply | None = None
        self._replies = 0
        self._speeches = 0
        self._silent_since = -ECHO_TAIL_US

    # Something to say

    def new_reply_id(self) -> int:
        """Return the number of the next reply."""
        self._replies += 1
        return self._replies

    def new_speech_id(self) -> int:
        """Return the number of the next sentence, or clip."""
        self._speeches += 1
        return self._speeches

    def new_reply(self, kind: Kind, reply_id: int | None = None) -> Reply:
        """Begin a reply; one that was drafted has its number already."""
        if reply_id is None:
            reply_id = self.new_reply_id()
        self.reply = reply = Reply(reply_id, kind, SentenceChunker(self._floor.settings.language))
        self._floor.go(State.THINKING)
        return reply

    def say(self, kind: Kind, text: str, *, clip: bool = False) -> Reply:
        """Say a fixed sentence. With `clip` its audio must need no provider."""
        self._floor.wait_from(self._floor.now, prepared=not clip)
        reply = self.new_reply(kind)
        reply.prepared = "" if clip else text
        self._speak(reply, text, clip=clip)
        return reply

    def speak_pending(self, reply: Reply) -> None:
        """Give TTS as many sentences as may be ahead of the caller's ear."""
        while reply.pending and reply.playback.unfinished < SENTENCES_AHEAD:
            if reply.stages is not None and reply.stages.first_sentence is None:
                reply.stages.first_sentence = self._floor.now
            self._speak(reply, reply.pending.popleft())
        if reply.closing and not reply.pending:
            self._speak(reply, reply.closing, clip=True)
            reply.closing = ""

    def _speak(self, reply: Reply, text: str, *, clip: bool = False) -> None:
        speech_id = self.new_speech_id()
        # A phrase that closes a failed reply is an apology, whatever the reply was to be.
        kind: Kind = "apology" if text == reply.closing else reply.kind
        # What the gateway says for itself stays out of the model's history.
        said = self._spoken_form.say(text)
        remembered = kind not in ("apology", "goodbye")
        reply.playback.queue(speech_id, said, kind, remembered=remembered)
        if clip:
            self._floor.do(c.PlayClip(speech_id, text, self._floor.phrases.role(text)))
        else:
            self._floor.do(c.Speak(speech_id, text, said.spoken))

    def stand_in(self, reply: Reply) -> None:
        """A fixed sentence whose voice does not come is said by a clip instead."""
        text = reply.prepared
        self._floor.do(c.ClearSpeech(self._floor.patience.filler_id))
        reply.playback, reply.prepared = Playback(), ""
        self._floor.patience.stood_in()
        self._speak(reply, text, clip=True)

    def say_again(self, reply: Reply) -> None:
        """A sentence has stopped in its middle for too long: after a sign it is said from its beginning."""
        floor = self._floor
        floor.do(c.ClearSpeech())
        if floor.patience.can_fill:
            floor.do(*floor.patience.fill(self.new_speech_id()))
        first, *behind = reply.playback.take_back()
        reply.said_again = True
        floor.patience.begun_again()
        if reply.prepared:
            self._speak(reply, first, clip=True)
        else:
            behind.insert(0, first)
        reply.pending.extendleft(reversed(behind))
        self.speak_pending(reply)

    def stands_in(self, speech_id: int, text: str) -> bool:
        """A phrase of the package is played in place of a sentence. Returns False for an unknown one."""
        spoken = self.reply and self.reply.playback.get(speech_id)
        if spoken:
            spoken.said = self._spoken_form.say(text)
        return bool(spoken)

    # What the caller hears of it

    @property
    def heard_lately(self) -> bool:
        """True when the agent has the floor, or had it so lately that a voice may be its echo."""
        return self.reply is not None or self._floor.now - self._silent_since < ECHO_TAIL_US

    @property
    def consent_sounds(self) -> bool:
        """True until the line that the law asks for was heard: nobody talks over it."""
        reply = self.reply
        if reply is None or reply.kind != "greeting" or not self._floor.phrases.consent:
            return False
        return not reply.playback.first_done

    def remember(self, reply: Reply, *, cut: bool = False) -> None:
        """The reply is over: what was heard of it is the agent's part of the history."""
        self.reply = None
        self._dialogue.agent_heard(reply.heard_since_tools())
        self._acting.reply_ended(reply, cut=cut)
        if reply.kind in ("reply", "greeting"):
            self._turn.expect(slots.expected(self._floor.settings.slots, reply.playback.heard_text))
        if reply.started:
            self._floor.notify(n.SpeechStopped(reply.reply_id, reply.playback.heard_text, cut))
        self._floor.tell_cost()
        self._silent_since = self._floor.now

    # The floor is given up, or kept

    def cut(self) -> None:
        """Stop what the agent is saying or about to say; what was heard of it is remembered."""
        floor, reply = self._floor, self.reply
        self._turn.interruption.close()
        if reply is None:
            self.cut_filler()
            return
        if reply.asked:
            floor.do(c.CancelAsk(reply.reply_id))
        floor.do(c.ClearSpeech())
        floor.do(*floor.patience.end_filler(floor.now, cut=True))
        self.remember(reply, cut=True)
        floor.patience.stop(floor.now)

    def cut_filler(self) -> None:
        """Stop a filler to which no reply has come yet."""
        if self._floor.patience.filler_id:
            self._floor.do(c.ClearSpeech())
            self._floor.do(*self._floor.patience.end_filler(self._floor.now, cut=True))

    def go_on(self) -> None:
        """The agent keeps the floor; with the word that it was torn from, if that is long ago."""
        self._turn.interruption.close()
        reply = self.reply
        torn = reply is not None and self._turn.interruption.lost_us(self._floor.now) > TORN_WORD_US
        self._floor.do(c.ResumeSpeech(reply.playback.into_word if torn and reply is not None else 0))

    def end_call(self, reason: str = "") -> None:
        """Nothing more will be said. Without a reason the caller has hung up."""
        self._floor.go(State.ENDED)
        self._turn.expect(None)
        self._floor.notify(self._acting.outcome)
        if reason:
            self._floor.do(c.HangUp(reason))
