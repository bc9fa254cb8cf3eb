"""The agent's speech on its way from TTS to the caller's ear."""

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.acting import Acting
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.floor import Floor, State
from voicegw.call.ladder import Ladder
from voicegw.call.playback import Playback
from voicegw.call.reply import Reply
from voicegw.call.speaking import Speaking


class Speech:
    """Follows each sentence: arrived, begun, played; a reply of which all was heard is over."""

    def __init__(
        self, floor: Floor, turn: CallerTurn, speaking: Speaking, ladder: Ladder, acting: Acting
    ) -> None:
        self._floor = floor
        self._turn = turn
        self._speaking = speaking
        self._ladder = ladder
        self._acting = acting

    def arrived(self, event: e.SpeechArrived) -> None:
        """Audio of a sentence has come."""
        reply = self._speaking.reply
        spoken = reply and reply.playback.get(event.speech_id)
        if not spoken:
            self._floor.ignored += 1
            return
        spoken.samples = max(spoken.samples, event.samples)
        spoken.complete = spoken.complete or event.done

    def failed(self, event: e.SpeechFailed) -> None:
        """A sentence has no voice, or not to its end."""
        floor, reply = self._floor, self._speaking.reply
        spoken = reply and reply.playback.get(event.speech_id)
        if reply is None or not spoken or spoken.complete:
            floor.ignored += 1
            return
        spoken.broken = True
        # Without its voice the rest of the reply is of no use; what the caller hears of it already goes on.
        if reply.asked:
            reply.asked = False
            floor.do(c.CancelAsk(reply.reply_id))
        reply.pending.clear()
        if not reply.playback.begun and not self._turn.interruption.undecided:
            if reply.prepared:
                self._speaking.stand_in(reply)
                return
            floor.do(c.ClearSpeech(floor.patience.filler_id))
            reply.playback = Playback()
        elif reply.playback.drop_behind(event.speech_id):
            # What follows makes no sense without it.
            floor.do(c.ClearSpeech(event.speech_id))
        self._ladder.fail(reply, event.code)

    def stood_in(self, event: e.StandIn) -> None:
        """Other words are played than were asked for."""
        if not self._speaking.stands_in(event.speech_id, event.text):
            self._floor.ignored += 1

    def began(self, event: e.SpeechBegan) -> None:
        """The first frame of a sentence has left."""
        floor, reply = self._floor, self._speaking.reply
        spoken = reply and reply.playback.get(event.speech_id)
        if reply is None or not spoken:
            floor.ignored += 1
            return
        spoken.begun = True
        # All of a filler has left before it: it will be heard to its end.
        floor.do(*floor.patience.end_filler(floor.now))
        floor.patience.stop(floor.now)
        self._turn.agent_said(spoken.text, spoken.said.spoken)
        if not reply.started:
            reply.started = True
            self._turn.committed = None
            if floor.state is not State.ENDING:
                floor.go(State.SPEAKING)
            floor.notify(n.SpeechStarted(reply.reply_id, spoken.kind))
            if reply.stages is not None and spoken.kind == "reply":
                floor.patience.learn(floor.now - reply.stages.last_word)
            if reply.stages is not None:
                floor.notify(reply.stages.latency(floor.exchanges, floor.now))
        floor.notify(n.ReplyText(reply.reply_id, event.speech_id, spoken.kind, spoken.text))

    def played(self, event: e.Played) -> None:
        """The caller has heard so much of a sentence."""
        floor, reply = self._floor, self._speaking.reply
        spoken = reply and reply.playback.get(event.speech_id)
        if reply is None or not spoken:
            floor.ignored += 1
            return
        further = event.samples > spoken.played
        spoken.played = max(spoken.played, event.samples)
        spoken.done = spoken.done or event.done
        if event.done:
            self._speaking.speak_pending(reply)
            if self.end_if_heard(reply):
                return
        if further:
            floor.patience.stop(floor.now)
        if not reply.playback.sounding:
            # The model or TTS is slower than the voice: the caller waits again.
            floor.wait_from(floor.now, within=reply.playback.torn)

    def end_if_heard(self, reply: Reply) -> bool:
        """End a reply of which all was heard. One that made no sound at all has failed."""
        if not reply.finished:
            return False
        if not reply.started and not reply.failed:
            self._ladder.fail(reply, "no_audio")
            return False
        self._speaking.remember(reply)
        if not reply.failed and reply.kind == "reply":
            self._ladder.answered()
        if reply.hang_up:
            self._speaking.end_call(reply.hang_up)
            return True
        if reply.transfer is not None:
            self._floor.do(*self._acting.hand_over(reply, self._floor.now))
        elif self._floor.spending.over:
            self._ladder.farewell("cost_limit", protected=True)
            return True
        if self._turn.interruption.undecided:
            # It was heard to the end while the caller began to speak: now it is the caller's turn.
            self._turn.interruption.close()
            self._floor.do(c.ResumeSpeech())
            self._turn.watch()
        self._floor.listen()
        self._floor.news_wanted = True
        return True
