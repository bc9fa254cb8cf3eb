"""Short sentences that were said before, as pcm, in memory: "Dạ." need not be synthesised twice."""

from collections import OrderedDict

# Longer ones are hardly ever said again word by word.
LONGEST_TEXT = 60

Key = tuple[str, float, str]  # voice, speed, text


class SpeechCache:
    """Speech by voice, speed and text; beyond `most_bytes` the least recently used goes. 0 keeps nothing."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._speech: OrderedDict[Key, bytes] = OrderedDict()
        self.n_bytes = 0
        self.hits = 0

    def get(self, key: Key) -> bytes | None:
        """Return the speech, if it is kept."""
        if not self.takes(key):
            return None
        pcm = self._speech.get(key)
        if pcm is not None:
            self.hits += 1
            self._speech.move_to_end(key)
        return pcm

    def keep(self, key: Key, pcm: bytes) -> None:
        """Keep the whole speech of a text, if it is short enough."""
        if not self.takes(key) or len(pcm) * 4 > self._most_bytes:
            return
        self.n_bytes += len(pcm) - len(self._speech.pop(key, b""))
        self._speech[key] = pcm
        while self.n_bytes > self._most_bytes:
            _, oldest = self._speech.popitem(last=False)
            self.n_bytes -= len(oldest)

    def takes(self, key: Key) -> bool:
        """Tell whether the text is short enough to be kept."""
        return self._most_bytes > 0 and len(key[2]) <= LONGEST_TEXT
