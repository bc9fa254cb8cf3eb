"""The sentences on their way to the caller's ear: what is known of each until it has ended or was cut."""

from voicegw.verdict.exchanges import Sentence


class Sounding:
    """Follows sentences by their `speech_id`; what is told of others (late, already cut) changes nothing."""

    def __init__(self) -> None:
        self._sentences: dict[int, Sentence] = {}

    def add(self, sentence: Sentence) -> None:
        """A sentence goes to TTS, or a clip is to be played."""
        self._sentences[sentence.speech_id] = sentence

    def stood_in(self, speech_id: int, text: str) -> None:
        """A phrase of the package is played in place of a clip."""
        if (sentence := self._sentences.get(speech_id)) is not None:
            sentence.text = text

    def arrived(self, speech_id: int, samples: int, now: int) -> None:
        """So much of its speech is here."""
        if (sentence := self._sentences.get(speech_id)) is not None:
            if sentence.first_audio_us is None:
                sentence.first_audio_us = now
            sentence.samples = max(sentence.samples, samples)

    def failed(self, speech_id: int, code: str) -> None:
        """Its speech did not come, or not to its end."""
        if (sentence := self._sentences.get(speech_id)) is not None:
            sentence.code = code

    def began(self, speech_id: int, now: int) -> bool:
        """Its first frame leaves; returns whether it is one of these."""
        sentence = self._sentences.get(speech_id)
        if sentence is None:
            return False
        if sentence.began_us is None:
            sentence.began_us = now
        return True

    def told(self, speech_id: int, reply_id: int, kind: str) -> None:
        """The other side was told that it begins, and what it is."""
        if (sentence := self._sentences.get(speech_id)) is not None:
            sentence.reply_id, sentence.kind = reply_id, kind

    def played(self, speech_id: int, samples: int, now: int, *, done: bool) -> None:
        """So much of it was heard; `done`: to its end."""
        if (sentence := self._sentences.get(speech_id)) is not None:
            sentence.played = max(sentence.played, samples)
            if done:
                sentence.ended_us = now
                del self._sentences[speech_id]

    def cut(self, now: int, *, keep: int = 0) -> None:
        """All but `keep` are stopped, or never begin."""
        kept = self._sentences.pop(keep, None)
        for sentence in self._sentences.values():
            sentence.cut = True
            if sentence.began_us is not None:
                sentence.ended_us = now
        self._sentences.clear()
        if kept is not None:
            self._sentences[keep] = kept
