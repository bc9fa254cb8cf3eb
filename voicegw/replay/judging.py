"""Answers judged by a model: for what words and patterns cannot say. Where no model is configured, the
expectation is skipped, and told to be.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

from voicegw.config import load_settings
from voicegw.errors import ConfigError, ProviderError
from voicegw.providers.http import AiohttpStreams
from voicegw.providers.llm import ChatModel
from voicegw.replay.checks import JUDGED, Check

DEADLINE_S = 60.0
# One word and one short sentence.
MOST_TOKENS = 120
PROMPT = (
    "You check one answer of a telephone agent against one requirement. Judge the meaning, not the wording; "
    "the answer may be in any language. Begin with the single word YES if the answer meets the requirement, "
    "or NO if it does not, then give the reason in one short sentence."
)


def judged(checks: Sequence[Check], model: str) -> tuple[Check, ...]:
    """Return the checks with those that want a judge decided by `model` of the `llm` provider.

    Without a model they stay skipped. Raises ConfigError where the provider's settings are wrong.
    """
    if not model or not any(check.what == JUDGED for check in checks):
        return tuple(checks)
    return asyncio.run(_judged(checks, model))


async def _judged(checks: Sequence[Check], model: str) -> tuple[Check, ...]:
    settings = load_settings().resolved("llm").model_copy(update={"model": model})
    if not settings.base_url:
        raise ConfigError("the judge's model needs llm.base_url")
    streams = AiohttpStreams()
    try:
        chat = ChatModel(settings, streams)
        return tuple([await _decide(chat, each) if each.what == JUDGED else each for each in checks])
    finally:
        await streams.aclose()


async def _decide(chat: ChatModel, check: Check) -> Check:
    asked = f"Requirement: {check.wanted}\n\nThe agent's answer: {check.got}"
    messages = [{"role": "system", "content": PROMPT}, {"role": "user", "content": asked}]
    said = ""
    try:
        async with asyncio.timeout(DEADLINE_S):
            stream = chat.reply(messages, max_tokens=MOST_TOKENS, temperature=0.0)
            async with contextlib.aclosing(stream) as deltas:
                async for delta in deltas:
                    said += delta.text
    except (ProviderError, TimeoutError) as error:
        code = error.code if isinstance(error, ProviderError) else "timeout"
        return replace(check, got=f"{check.got} (the judge failed: {code})", skipped=False)
    word, _, reason = said.strip().partition(" ")
    verdict = word.strip(".,:;!*\n ").upper()
    if verdict not in ("YES", "NO"):
        return replace(check, got=f"{check.got} (the judge said neither yes nor no)", skipped=False)
    reason = " ".join(reason.split())[:300]
    return replace(check, got=f"{check.got} ({reason})", ok=verdict == "YES", skipped=False)
