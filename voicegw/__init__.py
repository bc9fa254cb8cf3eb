"""voicegw: a real-time voice call-center gateway."""

__version__ = "0.1.0"
