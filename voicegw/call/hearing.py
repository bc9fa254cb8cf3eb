"""The caller's half of a call: from voice to a turn with its words, and who gets the floor meanwhile.

`turns.py` counts the pauses, `interruption.py` judges a voice over the agent's, `transcript_gate.py` what
STT writes; here it is said what follows from that.
"""

from voicegw.audio.pcm import SAMPLES_PER_MS, samples_to_us
from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.answering import Answering
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.dialogue import Dialogue
from voicegw.call.floor import Floor, State
from voicegw.call.interruption import Verdict
from voicegw.call.ladder import Ladder
from voicegw.call.misheard import Answer, Misheard
from voicegw.call.reply import Reply, Stages
from voicegw.call.speaking import Speaking
from voicegw.call.turns import Phase
from voicegw.call.written import Written


class Hearing:
    """Follows the caller's voice."""

    def __init__(
        self,
        floor: Floor,
        turn: CallerTurn,
        speaking: Speaking,
        ladder: Ladder,
        answering: Answering,
        written: Written,
        dialogue: Dialogue,
    ) -> None:
        self._floor = floor
        self._turn = turn
        self._turns = turn.turns
        self._interruption = turn.interruption
        self._speaking = speaking
        self._ladder = ladder
        self._answering = answering
        self._written = written
        self._dialogue = dialogue
        # The turn began over the agent's speech, or so soon after that it may be its echo.
        self._over_agent = False
        self._misheard = Misheard()
        self._rejection = ""  # why the newest transcript of the turn was not taken
        self._voice_ms = 0  # and how much voice was in what it was of
        self._failure_code = ""
        self._last_word = 0
        self._turn_over_at = 0

    # The voice

    def voice(self, event: e.VoiceActivity) -> None:
        """The caller begins to speak, goes on, or ceases."""
        if event.speaking and self._turns.phase is not Phase.VOICED:
            self._voice_began(event)
        elif event.speaking:
            self._voice_goes_on(event)
        elif self._turns.phase is Phase.VOICED:
            self._voice_ended(event)
        elif self._turns.phase is Phase.QUIET:
            # The end of a voice that was no turn, or not any more: its audio is kept for nothing.
            self._floor.do(c.ReleaseAudio(event.at_sample))

    def _voice_began(self, event: e.VoiceActivity) -> None:
        floor, reply = self._floor, self._speaking.reply
        if floor.state is State.ENDING or self._speaking.consent_sounds or floor.held:
            return
        floor.notify(n.VoiceStarted(event.at_sample // SAMPLES_PER_MS))
        if self._turns.phase is Phase.QUIET:
            self._over_agent = self._speaking.heard_lately
        useless = self._turns.voice_began(event.at_sample)
        self._turn.cancel([useless] if useless is not None else [])
        self._turn.waste_draft()
        if reply is not None:
            if self._may_interrupt(reply):
                self._interruption.begin(event.at_sample, floor.now)
                self._turns.reach_back(self._interruption.from_sample)
                floor.do(c.PauseSpeech())
        else:
            # Also when the turn had ended and its transcript was on its way: it is the same turn.
            self._speaking.cut_filler()
            floor.listen()

    def _voice_goes_on(self, event: e.VoiceActivity) -> None:
        piece = self._turns.voice_goes_on(event.at_sample, event.level_db)
        if piece is not None:
            self._turn.transcribe(piece)
        useless = self._turns.outdated(event.at_sample)
        self._turn.cancel([useless] if useless is not None else [])
        if self._speaking.reply is None:
            utterance = self._turns.lull(event.at_sample, event.position, event.level_db)
            if utterance is not None:
                self._turn.transcribe(utterance)
        verdict = self._interruption.goes_on(event.at_sample, event.level_db)
        if self._interruption.undecided and verdict is Verdict.YIELD:
            self._yield_floor()

    def _voice_ended(self, event: e.VoiceActivity) -> None:
        reply = self._speaking.reply
        watch = self._turns.voice_ended(event.at_sample, event.level_db)
        self._floor.notify(n.VoiceStopped(event.at_sample // SAMPLES_PER_MS))
        if self._interruption.undecided:
            verdict = self._interruption.ended(event.at_sample, self._floor.now)
            if verdict is Verdict.KEEP:
                # A cough: no turn, and the agent goes on.
                self._reject_turn("too_short")
                return
            if verdict is Verdict.OPEN:
                # Too short to be sure, too long for a cough: its words decide.
                self._turn.transcribe(self._turns.early(event.position))
                return
            self._yield_floor()
        elif reply is not None and not self._may_interrupt(reply):
            self._reject_turn("protected")
            return
        if self._turns.utterance is not None and self._turns.utterance.text is not None:
            self._answering.speculate(event.position)
            self._turn.watch()
        else:
            self._floor.do(c.WatchSample(watch))

    # The end of the turn

    def sample_reached(self, event: e.SampleReached) -> None:
        """A pause has become so long."""
        if self._interruption.undecided:
            # Whose turn it is comes first.
            return
        was = self._turns.phase
        step = self._turns.pause_reached(event.at_sample)
        self._turn.cancel(step.cancel)
        due = self._turn.drafts.due
        if self._turns.phase is Phase.PAUSED and due is not None and event.at_sample >= due:
            self._answering.speculate(event.at_sample)
        if step.watch is not None and self._turns.utterance is None:
            self._floor.do(c.WatchSample(step.watch))
        elif step.watch is not None:
            self._turn.watch(event.at_sample)
        if step.transcribe is not None:
            self._turn.transcribe(step.transcribe)
        if self._turns.phase is Phase.ENDED and was is not Phase.ENDED:
            self._turn_over_at = self._floor.now
            self._last_word = self._floor.now - samples_to_us(event.at_sample - self._turns.last_voice)
            self._floor.wait_from(self._last_word)
            self._floor.go(State.THINKING)
            self._commit_turn()

    def turn_judged(self, event: e.TurnJudged) -> None:
        """A turn model says how likely it is that the caller is done."""
        if self._turns.judged(event.utterance_id, event.p):
            self._turn.watch()
        else:
            self._floor.ignored += 1

    def _commit_turn(self) -> None:
        """The turn is answered, if it is over and its words are there."""
        floor, turns = self._floor, self._turns
        if not turns.over:
            return
        if turns.torn:
            self._reject_torn_turn()
            return
        text = turns.text
        floor.do(c.ReleaseAudio(turns.last_voice))
        utterances = turns.reset()
        self._turn.drafts.turn_done()
        reason, self._rejection = self._rejection, ""
        if not text:
            self._not_understood(reason)
            return
        self._misheard.understood(turns.loudest_db)
        turns.end.finished(text)
        self._interruption.learn()
        floor.notify(n.Transcript("final", text))
        self._turn.committed = utterances
        self._answering.answer(text, Stages(self._last_word, self._turn_over_at, floor.now))

    def _reject_torn_turn(self) -> None:
        """Words are missing: to answer the rest would be to answer something that was not said."""
        self._turn.drop()
        self._floor.notify(n.Transcript("rejected", "", reason=self._failure_code))
        phrases = self._floor.phrases
        self._ladder.apologise(phrases.not_understood or phrases.apology, self._failure_code)

    def _not_understood(self, reason: str) -> None:
        """Ask to repeat it, if somebody spoke; whoever is never understood gets what a failure gets."""
        self._turn.waste_draft()
        phrases = self._floor.phrases
        answer = self._misheard.rejected(reason, self._voice_ms, self._turns.loudest_db)
        if answer is Answer.LADDER:
            self._ladder.apologise(phrases.apology, "not_understood")
        elif answer is Answer.SORRY and phrases.not_understood:
            self._speaking.say("apology", phrases.not_understood, clip=True)
        else:
            self._floor.listen()

    # The words

    def transcript(self, event: e.Transcript) -> None:
        """STT has written what an utterance says."""
        utterance = self._turns.find(event.utterance_id)
        if utterance is None:
            self._take_late_words(event)
            return
        rejection = self._turn.gate.judge(
            event,
            voice_ms=self._turns.voice_ms(utterance),
            previous=[u.text for u in self._turns.pieces if u is not utterance and u.text],
            over_agent=self._over_agent,
            now=self._floor.now,
        )
        if rejection is not None:
            self._rejection = rejection.reason
            self._voice_ms = int(rejection.numbers["voice_ms"])
            self._floor.notify(
                n.Transcript("rejected", event.text, reason=rejection.reason, numbers=rejection.numbers)
            )
        text = "" if rejection is not None else event.text
        self._turns.transcribed(event.utterance_id, text)
        if self._interruption.undecided:
            self._decide_by_words(text)
            return
        if self._turns.phase is not Phase.ENDED and self._turns.text:
            self._floor.notify(n.Transcript("partial", self._turns.text))
        if self._turns.phase is Phase.PAUSED:
            self._turn.drafts.headroom = event.headroom
            self._answering.speculate(utterance.to_sample)
        self._turn.watch()
        self._commit_turn()

    def transcript_failed(self, event: e.TranscriptFailed) -> None:
        """STT has given an utterance up."""
        if not self._turns.failed(event.utterance_id):
            self._floor.ignored += 1
            return
        self._failure_code = event.code
        self._commit_turn()

    # Interruptions

    def _may_interrupt(self, reply: Reply) -> bool:
        """Whether the caller may take the floor now. What makes no sound yet can always be taken back."""
        spoken = reply.playback.now_saying
        return not spoken or not spoken.begun or self._interruption.allowed(spoken.kind, spoken.text)

    def _reject_turn(self, reason: str) -> None:
        """The agent keeps the floor: what the caller said over it is no turn."""
        undecided = self._interruption.undecided
        self._turn.drop()
        self._floor.notify(n.Transcript("rejected", "", reason=reason))
        if undecided:
            self._speaking.go_on()

    def _decide_by_words(self, text: str) -> None:
        """The words of a voice over the agent's speech have come."""
        if self._turns.phase is not Phase.PAUSED:
            # The caller speaks again: the length of that decides.
            return
        if self._interruption.said(text) is Verdict.KEEP:
            self._reject_turn("backchannel")
        else:
            self._yield_floor()
            self._turn.watch()

    def stop_waiting_for_words(self) -> None:
        """The agent goes on rather than be silent any longer; words that still come may interrupt it."""
        waiting = self._turns.utterance
        self._interruption.late = waiting.utterance_id if waiting is not None else None
        self._turns.reset()
        self._floor.do(c.ReleaseAudio(self._turns.last_voice))
        self._speaking.go_on()

    def _take_late_words(self, event: e.Transcript) -> None:
        floor = self._floor
        if event.utterance_id != self._interruption.late:
            floor.ignored += 1
            return
        self._interruption.late = None
        # How much voice there was is not known any more; it was enough to make the agent wait for the words.
        rejection = self._turn.gate.judge(event, voice_ms=1000, previous=(), over_agent=True, now=floor.now)
        free = floor.state in (State.SPEAKING, State.LISTENING) and self._turns.phase is Phase.QUIET
        if rejection is None and free and self._interruption.said(event.text) is Verdict.YIELD:
            self._written.take(event.text, "voice")
        else:
            reason = rejection.reason if rejection is not None else "backchannel"
            floor.notify(n.Transcript("rejected", event.text, reason=reason))

    def _yield_floor(self) -> None:
        """The caller interrupts. A reply of which nothing was heard means that the turn was not over."""
        reply, pieces = self._speaking.reply, self._turn.committed
        if reply is None:
            self._speaking.go_on()
            return
        # What tools did cannot be taken back.
        reopens = reply.kind == "reply" and not (reply.started or reply.rounds)
        self._speaking.cut()
        if reopens and pieces is not None:
            self._turn.photos = self._dialogue.take_back()
            self._floor.exchanges -= 1
            self._turns.reopen(pieces)
            self._turn.committed = None
        self._floor.listen()
