"""The settings of a process: groups by what they are for, one object of all, read once at start.

Nothing else in voicegw reads the environment.
"""

from voicegw.config.calls import (
    LimitSettings,
    PatienceSettings,
    PersonaSettings,
    SpeechCacheSettings,
    TurnSettings,
)
from voicegw.config.carriers import (
    CARRIER_NAMES,
    AsteriskSettings,
    AudiosocketSettings,
    CarriersSettings,
    FreeswitchSettings,
    JambonzSettings,
    PeerSettings,
    PlivoSettings,
    TelnyxSettings,
    TwilioSettings,
    VonageSettings,
)
from voicegw.config.group import Group
from voicegw.config.loading import load_settings
from voicegw.config.names import setting_fields, settings_tables, variable_name
from voicegw.config.process import (
    DoorSettings,
    HookSettings,
    JudgeSettings,
    LogSettings,
    ServerSettings,
    StoreSettings,
    VerdictSettings,
)
from voicegw.config.providers import (
    HOLYSHEEP_URL,
    OPENAI_URL,
    CostSettings,
    ProviderSettings,
)
from voicegw.config.settings import (
    Settings,
)

__all__ = [
    "CARRIER_NAMES",
    "HOLYSHEEP_URL",
    "OPENAI_URL",
    "AsteriskSettings",
    "AudiosocketSettings",
    "CarriersSettings",
    "CostSettings",
    "DoorSettings",
    "FreeswitchSettings",
    "Group",
    "HookSettings",
    "JambonzSettings",
    "JudgeSettings",
    "LimitSettings",
    "LogSettings",
    "PatienceSettings",
    "PeerSettings",
    "PersonaSettings",
    "PlivoSettings",
    "ProviderSettings",
    "ServerSettings",
    "Settings",
    "SpeechCacheSettings",
    "StoreSettings",
    "TelnyxSettings",
    "TurnSettings",
    "TwilioSettings",
    "VerdictSettings",
    "VonageSettings",
    "load_settings",
    "setting_fields",
    "settings_tables",
    "variable_name",
]
