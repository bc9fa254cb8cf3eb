"""The scripted agent: in place of a language model, a deterministic dialogue of a laptop shop.

Stateless: all it knows it reads from the messages of the request, as a chat model does.
"""

from voicegw.embedded.agent.dialogue import Answer, ToolCall, answer

__all__ = ["Answer", "ToolCall", "answer"]
