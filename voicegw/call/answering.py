"""The agent's answer to a turn: the model is asked, its words are spoken, its tools run."""

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call import slots
from voicegw.call.acting import Acting
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.dialogue import Dialogue
from voicegw.call.floor import Floor
from voicegw.call.ladder import Ladder
from voicegw.call.reply import Reply, Stages
from voicegw.call.sentences import SentenceChunker
from voicegw.call.speaking import Speaking
from voicegw.call.speech import Speech

# A stream that breaks is asked to go on so often: a third break in one answer is no accident.
MOST_RESUMES = 2
# A provider that never summarises must not make the requests for it grow without end.
MOST_UNSUMMARISED = 60


class Answering:
    """Asks the model, and takes what it writes."""

    def __init__(
        self,
        floor: Floor,
        turn: CallerTurn,
        speaking: Speaking,
        speech: Speech,
        ladder: Ladder,
        dialogue: Dialogue,
        acting: Acting,
    ) -> None:
        self._floor = floor
        self._turn = turn
        self._speaking = speaking
        self._speech = speech
        self._ladder = ladder
        self._dialogue = dialogue
        self._acting = acting
        self._summaries = 0
        self._unsummarised: tuple[c.Message, ...] = ()

    # The question

    def answer(self, text: str, stages: Stages) -> None:
        """The caller's turn is over. What it decides itself needs no model; a draft of its answer is used."""
        floor, turn = self._floor, self._turn
        if floor.spending.over:
            self._ladder.farewell("cost_limit", protected=True)
            return
        floor.exchanges += 1
        floor.check_ins = 0
        slot, noted = turn.slot, turn.noted(text)
        decided = self._acting.answered(text)
        settings = floor.settings
        question = slots.read_back(slot, text, settings.language, settings.today) if slot else ""
        draft = turn.drafts.open
        if draft is not None and (draft.text != text or decided or question):
            turn.waste_draft()
        draft = turn.drafts.close()
        photos, turn.photos = turn.photos, ()
        self._dialogue.caller_said(noted, photos)
        turn.expect(None)
        self._summarise()
        reply = self._speaking.new_reply("reply", draft.reply_id if draft is not None else None)
        reply.stages = stages
        if decided is not None:
            unit, commands = decided
            self._dialogue.tools_called(unit)
            reply.rounds.append((unit, 0))
            reply.acting = True
            floor.do(*commands)
            self._after_tools(reply)
        elif question:
            reply.add([question])
            self._speaking.speak_pending(reply)
        elif draft is None:
            self._ask(reply)
        else:
            reply.asked = True
            floor.notify(n.Draft(draft.reply_id, "used", draft.characters))
            stages.first_token = draft.first_token
            for event in draft.events:
                self.take(event)

    def speculate(self, at_sample: int) -> None:
        """Ask the model already, or see when: the pause has come so far, and nothing else is being said."""
        turns, drafts = self._turn.turns, self._turn.drafts
        known = all(u.text is not None and not u.failed for u in turns.wanted)
        if self._speaking.reply is not None or not known or not (text := turns.text):
            return
        if drafts.open is not None or self._turn.photos or self._acting.has_late or self._acting.decides:
            return
        pause = drafts.pause(turns.needed)
        if pause is None:
            return
        if at_sample < turns.last_voice + pause:
            drafts.due = turns.last_voice + pause
        else:
            reply_id = self._speaking.new_reply_id()
            drafts.begin(reply_id, text)
            messages = self._dialogue.preview(self._turn.noted(text))
            self._floor.do(c.Ask(reply_id, messages, speculative=True))

    def tell_news(self) -> None:
        """The caller has said nothing; the model is to tell what a long tool has brought."""
        self._floor.wait_from(self._floor.now)
        self._ask(self._speaking.new_reply("reply"), tools=False)

    def _ask(self, reply: Reply, *, tools: bool = True, said: str = "") -> None:
        """Ask for a reply; one of which `said` was spoken already is to go on behind it."""
        self._acting.show_late(self._dialogue)
        reply.asked = True
        begun: tuple[c.Message, ...] = ({"role": "assistant", "content": said},) if said else ()
        self._floor.do(c.Ask(reply.reply_id, self._dialogue.messages() + begun, tools=tools))

    def _summarise(self) -> None:
        if self._floor.settings.window.summarise and (dropped := self._dialogue.take_dropped()):
            self._summaries += 1
            earlier: tuple[c.Message, ...] = ()
            if self._dialogue.summary:
                earlier = ({"role": "system", "content": f"Earlier in this call: {self._dialogue.summary}"},)
            # With what an earlier summary, failed or still being written, was to hold.
            self._unsummarised = (self._unsummarised + dropped)[-MOST_UNSUMMARISED:]
            self._floor.do(c.Summarise(self._summaries, earlier + self._unsummarised))

    def summarised(self, event: e.Summarised) -> None:
        """What the window has dropped is told to the model in short from now on."""
        if event.text and event.summary_id == self._summaries:
            self._dialogue.summary = event.text
            self._unsummarised = ()

    # What the model writes

    def take(self, event: e.Event) -> None:
        """Take what the model has sent; of an older reply it is dropped, here and nowhere else."""
        assert isinstance(event, e.ReplyText | e.ReplyToolCall | e.ReplyDone | e.ReplyFailed)
        reply = self._speaking.reply
        if reply is None or reply.reply_id != event.reply_id or not reply.asked:
            self._floor.ignored += 1
            return
        match event:
            case e.ReplyText():
                self._text(reply, event.text)
            case e.ReplyToolCall():
                reply.calls.take(event)
            case e.ReplyDone():
                self._done(reply)
            case e.ReplyFailed():
                self._failed(reply, event)

    def _text(self, reply: Reply, text: str) -> None:
        if reply.stages is not None and reply.stages.first_token is None:
            reply.stages.first_token = self._floor.now
        reply.add(reply.chunker.push(text))
        self._speaking.speak_pending(reply)

    def _done(self, reply: Reply) -> None:
        reply.asked = False
        reply.add(reply.chunker.finish())
        if reply.calls:
            self._act(reply)
            return
        if not reply.newest:
            self._ladder.fail(reply, "empty_reply")
            return
        self._speaking.speak_pending(reply)
        self._speech.end_if_heard(reply)

    def _failed(self, reply: Reply, event: e.ReplyFailed) -> None:
        # Whole sentences that came are still said; the torn one at the end is not.
        if event.broken and reply.resumes < MOST_RESUMES:
            self._ask(reply, said=reply.go_on(self._floor.settings.language))
            return
        reply.asked = False
        self._ladder.fail(reply, event.code)

    # Its tools

    def _act(self, reply: Reply) -> None:
        """The model has called tools."""
        reply.chunker = SentenceChunker(self._floor.settings.language)
        self._floor.do(*self._acting.called(reply))
        self._dialogue.tools_called(reply.rounds[-1][0])
        self._speaking.speak_pending(reply)
        self._after_tools(reply)

    def _after_tools(self, reply: Reply) -> None:
        floor = self._floor
        step = self._acting.next_step(reply)
        if step == "wait":
            if not reply.playback.sounding:
                floor.wait_from(floor.now)
            # A tool has its own time-out, and as long again for the answer to its result.
            floor.patience.allow_until(floor.now + 2 * self._acting.timeout_us(reply))
            return
        reply.acting = False
        if step == "end":
            self._speech.end_if_heard(reply)
        else:
            self._ask(reply, tools=step == "ask")

    def committed(self, event: e.Committed) -> None:
        """The journal is durable: tools may run."""
        self._floor.do(*self._acting.committed(event))

    def tool_result(self, event: e.ToolResult) -> None:
        """A tool has ended; the reply that waits for it goes on."""
        reply = self._speaking.reply
        told = self._acting.result(event, reply)
        self._floor.ignored += not told
        self._floor.do(*told)
        if reply is not None and reply.acting and told:
            self._after_tools(reply)
        self._floor.news_wanted = True

    def transfer_ended(self, event: e.TransferEnded) -> None:
        """The carrier has handed the caller over, or could not."""
        self._floor.do(*self._acting.transfer_ended(event.done))
        if event.done:
            self._speaking.cut()
            self._speaking.end_call("transferred")
        elif not self._ladder.not_handed_over():
            self._floor.news_wanted = True
