"""Which models a key reaches: `/models`, the cheapest request that proves a key."""

import json

from voicegw.config import ProviderSettings
from voicegw.errors import Stage
from voicegw.providers.http import ByteStreams
from voicegw.providers.upstream import Upstream


async def list_models(stage: Stage, settings: ProviderSettings, streams: ByteStreams) -> list[str]:
    """Return the ids of all models that the provider of `stage` offers to this key. Raises ProviderError.

    https://platform.openai.com/docs/api-reference/models/list
    """
    async with await Upstream(stage, settings, streams).get("/models") as answer:
        try:
            found = json.loads(await answer.read_all())
        except (ValueError, RecursionError) as error:
            raise answer.bad("a list of models that is no JSON") from error
        listed = found.get("data") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise answer.bad("something else came in place of a list of models")
        return [str(model["id"]) for model in listed if isinstance(model, dict) and "id" in model]
