"""Marks: what is sent behind a sentence, to be told when it was played.

After a clear some peers send all pending marks back at once, others never: a mark of an older generation
says nothing about what was heard, and the clock alone tells (`call/mouth.py`, which also bears marks that are
lost).
"""

from voicegw.carriers.base import PlayedReport
from voicegw.carriers.fields import text


class Marks:
    """Names marks and knows them again. One per connection."""

    def __init__(self) -> None:
        self._generation = 0

    def name(self, speech_id: int) -> str:
        """The name of the mark behind a sentence: short, because Asterisk reads 128 bytes only."""
        return f"g{self._generation}:{speech_id}"

    def clear(self) -> None:
        """All that was sent is dropped: marks so far mean nothing any more."""
        self._generation += 1

    def played(self, name: object) -> tuple[PlayedReport, ...]:
        """What a mark that came back tells: its sentence was played to its end; () when it tells nothing."""
        generation, colon, speech_id = text(name).partition(":")
        if not colon or generation != f"g{self._generation}" or not speech_id.isascii():
            return ()
        return (PlayedReport(int(speech_id), None),) if speech_id.isdigit() and len(speech_id) < 10 else ()
