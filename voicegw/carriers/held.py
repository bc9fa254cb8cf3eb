"""Audio that comes before it is known in which form: kept for a moment, then heard like the rest."""

from collections.abc import Sequence

from voicegw.audio.format import AudioFormat, Decoder, mono_of_stereo

# About one second of the widest form: who tells nothing for so long is heard from there on.
MOST_BYTES = 100_000


class HeldAudio:
    """Decodes one direction of a call, once its form is known."""

    def __init__(self) -> None:
        self._decoder: Decoder | None = None
        self._stereo = False
        self._held = bytearray()
        self._half = b""

    def begin(self, form: AudioFormat, *, stereo: bool = False) -> Sequence[bytes]:
        """The form is known: return what had come before. `stereo`: the caller is on the left."""
        self._decoder = form.decoder()
        self._stereo = stereo
        held, self._held = bytes(self._held), bytearray()
        return self.push(held)

    def push(self, data: bytes) -> Sequence[bytes]:
        """Take encoded audio of any length; return pcm, nothing while the form is not known."""
        if self._decoder is None:
            self._held += data
            del self._held[:-MOST_BYTES]
            return ()
        if self._stereo:
            data = self._half + data
            whole = len(data) & ~3
            data, self._half = mono_of_stereo(data[:whole]), data[whole:]
        pcm = self._decoder.push(data)
        return (pcm,) if pcm else ()
