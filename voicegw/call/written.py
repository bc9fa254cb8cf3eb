"""What the caller says without a voice: text, keys, photos."""

from typing import Literal

from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.acting import Acting
from voicegw.call.answering import Answering
from voicegw.call.caller_turn import CallerTurn
from voicegw.call.dialogue import Photo
from voicegw.call.floor import Floor, State
from voicegw.call.keypad import Keypad
from voicegw.call.ladder import Ladder
from voicegw.call.reply import Stages
from voicegw.call.speaking import Speaking
from voicegw.call.turns import Phase

# What the offer of the ladder asks for: press 1 and we call you back.
CALL_BACK_KEY = "1"
# Photos that wait for their turn; more at once would cost more than they tell.
MOST_PHOTOS = 4


class Written:
    """Makes turns of it; photos and the results of long tools wait for a good moment."""

    def __init__(
        self,
        floor: Floor,
        turn: CallerTurn,
        speaking: Speaking,
        ladder: Ladder,
        answering: Answering,
        acting: Acting,
    ) -> None:
        self._floor = floor
        self._turn = turn
        self._speaking = speaking
        self._ladder = ladder
        self._answering = answering
        self._acting = acting
        self._keypad = Keypad(floor.settings.keypad)

    def take(self, text: str, source: Literal["voice", "text", "keypad"]) -> None:
        """A turn that is complete as it comes; it takes the place of one that was being spoken."""
        floor = self._floor
        if not (text or self._turn.photos) or floor.state is State.ENDING:
            floor.ignored += 1
            return
        self._speaking.cut()
        self._turn.drop()
        floor.wait_from(floor.now)
        if text:
            floor.notify(n.Transcript("final", text, source=source))
        self._turn.committed = None
        self._answering.answer(text, Stages(floor.now, floor.now, floor.now))

    def text(self, event: e.CallerText) -> None:
        """The caller has typed."""
        self.take(event.text.strip(), "text")

    # Keys

    def key(self, event: e.Dtmf) -> None:
        """The caller has pressed a key."""
        floor = self._floor
        if floor.state is State.ENDING:
            return
        if not self._keypad and self._speaking.reply is not None:
            self._speaking.cut()
            floor.listen()
        if floor.patience.offered and not self._keypad and event.digit == CALL_BACK_KEY:
            self._ladder.call_back()
        elif self._keypad.press(event.digit, floor.now, self._turn.slot):
            self.take_keys()

    @property
    def typing(self) -> bool:
        """True while keys are pressed that are not taken yet."""
        return bool(self._keypad)

    @property
    def keys_due_us(self) -> int | None:
        """When the keys are taken as they are; what the caller is saying at the same time comes first."""
        return self._keypad.due if self._keypad and self._turn.turns.phase is Phase.QUIET else None

    def take_keys(self) -> None:
        """No further key has come: the number, or choice, is complete."""
        self.take(self._keypad.take(self._turn.slot), "keypad")

    # Photos, and other news

    def image(self, event: e.CallerImage) -> None:
        """A photo belongs to the turn that goes on, else it is one; it does not interrupt the agent."""
        photo = Photo(event.image_id, event.width, event.height)
        self._turn.photos = (*self._turn.photos, photo)[-MOST_PHOTOS:]
        if event.text.strip():
            self.take(event.text.strip(), "text")
        else:
            self._floor.news_wanted = True

    def take_up_news(self) -> None:
        """If it is a good moment, take up what has come meanwhile: a photo, the result of a long tool."""
        floor = self._floor
        floor.news_wanted = False
        if floor.state is not State.LISTENING or self._turn.turns.phase is not Phase.QUIET or self._keypad:
            return
        if self._turn.photos:
            self.take("", "text")
        elif self._acting.has_late and not floor.away:
            self._answering.tell_news()
