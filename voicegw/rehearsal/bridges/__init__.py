"""The other side of every carrier's protocol, a file each: what a bridge sends, and how it reads the gateway.

Pure wire formats, the mirror of `carriers/`: written from the vendors' descriptions and not from our own
files, so that a mistake in one is not repeated in the other. Tests and live replay put a player and a socket
around them (`rehearsal/telephone.py`).
"""

from voicegw.rehearsal.bridges.asterisk import AsteriskBridge
from voicegw.rehearsal.bridges.audiosocket import AudioSocketBridge
from voicegw.rehearsal.bridges.base import Bridge, ClearSent, HangUpSent, MarkSent, PauseSent, Taken
from voicegw.rehearsal.bridges.freeswitch import FreeswitchBridge
from voicegw.rehearsal.bridges.jambonz import JambonzBridge
from voicegw.rehearsal.bridges.plivo import PlivoBridge
from voicegw.rehearsal.bridges.telnyx import TelnyxBridge
from voicegw.rehearsal.bridges.twilio import TwilioBridge
from voicegw.rehearsal.bridges.vonage import VonageBridge

__all__ = ["BRIDGES", "Bridge", "ClearSent", "HangUpSent", "MarkSent", "PauseSent", "Taken"]

BRIDGES: dict[str, type[Bridge]] = {
    bridge.name: bridge
    for bridge in (
        TwilioBridge,
        TelnyxBridge,
        PlivoBridge,
        VonageBridge,
        AsteriskBridge,
        AudioSocketBridge,
        JambonzBridge,
        FreeswitchBridge,
    )
}
