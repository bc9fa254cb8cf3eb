"""All settings of a process in one frozen object."""

from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from voicegw.config.calls import (
    LimitSettings,
    PatienceSettings,
    PersonaSettings,
    SpeechCacheSettings,
    TurnSettings,
)
from voicegw.config.carriers import (
    AsteriskSettings,
    AudiosocketSettings,
    CarriersSettings,
    FreeswitchSettings,
    JambonzSettings,
    PlivoSettings,
    TelnyxSettings,
    TwilioSettings,
    VonageSettings,
)
from voicegw.config.process import (
    DoorSettings,
    HookSettings,
    JudgeSettings,
    LogSettings,
    ServerSettings,
    StoreSettings,
    VerdictSettings,
)
from voicegw.config.providers import HOLYSHEEP_URL, OPENAI_URL, CostSettings, ProviderSettings
from voicegw.errors import Stage

_STT_MODEL = "whisper-1"
_TTS_MODEL = "tts-1"
_LLM_MODEL = "gemini-2.5-flash"
_OPENAI_LLM_MODEL = "gpt-4.1-mini"


class Settings(BaseSettings):
    """All settings. Made by `load_settings`; made by hand in tests (`Settings(turns=TurnSettings(…))`)."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    server: ServerSettings = Field(default_factory=ServerSettings)
    turns: TurnSettings = Field(default_factory=TurnSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    patience: PatienceSettings = Field(default_factory=PatienceSettings)
    provider: ProviderSettings = Field(default_factory=ProviderSettings)
    stt: ProviderSettings = Field(default_factory=ProviderSettings)
    llm: ProviderSettings = Field(default_factory=ProviderSettings)
    tts: ProviderSettings = Field(default_factory=ProviderSettings)
    speech_cache: SpeechCacheSettings = Field(default_factory=SpeechCacheSettings)
    costs: CostSettings = Field(default_factory=CostSettings)
    persona: PersonaSettings = Field(default_factory=PersonaSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    judge: JudgeSettings = Field(default_factory=JudgeSettings)
    verdict: VerdictSettings = Field(default_factory=VerdictSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    door: DoorSettings = Field(default_factory=DoorSettings)
    hook: HookSettings = Field(default_factory=HookSettings)
    carriers: CarriersSettings = Field(default_factory=CarriersSettings)
    twilio: TwilioSettings = Field(default_factory=TwilioSettings)
    telnyx: TelnyxSettings = Field(default_factory=TelnyxSettings)
    plivo: PlivoSettings = Field(default_factory=PlivoSettings)
    vonage: VonageSettings = Field(default_factory=VonageSettings)
    asterisk: AsteriskSettings = Field(default_factory=AsteriskSettings)
    audiosocket: AudiosocketSettings = Field(default_factory=AudiosocketSettings)
    jambonz: JambonzSettings = Field(default_factory=JambonzSettings)
    freeswitch: FreeswitchSettings = Field(default_factory=FreeswitchSettings)

    # What `--set` named: it wins over a persona's own settings.
    _overridden: frozenset[str] = PrivateAttr(frozenset())

    @property
    def overridden(self) -> frozenset[str]:
        """The dotted names of the settings that were given by `--set`."""
        return self._overridden

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from `load_settings` only.

        The library's own environment sources let misspelt groups and single underscores pass in silence.
        """
        return (init_settings,)

    def resolved(self, stage: Stage) -> ProviderSettings:
        """Return the complete settings of one stage: its own fields, else those of `provider`, else defaults.

        Key and headers of `provider` go only to the host of `provider`. `provider.model` is the chat model.
        """
        own: ProviderSettings = getattr(self, stage)
        base_url = own.base_url or self._provider_url()
        same_host = urlsplit(base_url).netloc == urlsplit(self._provider_url()).netloc
        inherited = self.provider if same_host else ProviderSettings()
        if stage == "stt":
            model = own.model or _STT_MODEL
        elif stage == "tts":
            model = own.model or _TTS_MODEL
        else:
            usual = _OPENAI_LLM_MODEL if base_url == OPENAI_URL else _LLM_MODEL
            model = own.model or self.provider.model or usual
        return ProviderSettings(
            base_url=base_url,
            api_key=own.api_key or inherited.api_key,
            model=model,
            headers=own.headers or inherited.headers,
            timeout_s=(own if "timeout_s" in own.model_fields_set else self.provider).timeout_s,
            pcm_hz=(own if "pcm_hz" in own.model_fields_set else inherited).pcm_hz,
            stall_s=(own if "stall_s" in own.model_fields_set else self.provider).stall_s,
            hedge=(own if "hedge" in own.model_fields_set else self.provider).hedge,
            **{
                name: getattr(own if name in own.model_fields_set else inherited, name)
                for name in ("plan", "requests_a_minute", "tokens_a_minute", "streams")
            },
        )

    def row(self, stage: Stage) -> tuple[ProviderSettings, ...]:
        """Return the providers of one stage in the order in which they are asked, the first one first.

        A fallback takes what it does not name from the first, but never its key or headers to another host.
        """
        first = self.resolved(stage)
        own: ProviderSettings = getattr(self, stage)
        found = [first]
        for named in own.fallbacks or self.provider.fallbacks:
            base = first.model_dump()
            host = urlsplit(named.get("base_url", first.base_url)).netloc
            if host != urlsplit(first.base_url).netloc:
                base |= {"api_key": "", "headers": {}, "plan": "", "requests_a_minute": 0}
                base |= {"tokens_a_minute": 0, "streams": 0}
            found.append(ProviderSettings.model_validate({**base, **named, "fallbacks": ()}))
        return tuple(found)

    def _provider_url(self) -> str:
        return self.provider.base_url or HOLYSHEEP_URL
