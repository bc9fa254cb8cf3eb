"""The tools of a call: which may run, when, and which never again.

A call of the model becomes a `ToolUse`. It runs after the journal is durable (`Commit` → `Committed` →
`RunTool`), so that after a crash nobody can doubt what was begun. Its result outlives the reply that asked
for it: an interruption, a reconnect or the caller's impatience loses nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call.dialogue import ToolUnit, ToolUse
from voicegw.call.settings import ToolRules

# Far more than any tool takes; a model that writes on and on must not fill the memory.
MOST_CALLS = 16
MOST_ARGUMENT_CHARS = 32_000
# What a result may hold: longer ones cost tokens and say less.
MOST_RESULT_CHARS = 16_000
# Tool calls of one call that are remembered for "never twice".
MOST_REMEMBERED = 200


@dataclass(slots=True)
class Fragments:
    """The tool calls of one answer, put together by index from whatever pieces they come in."""

    calls: dict[int, list[str]] = field(default_factory=dict)  # index: name, arguments

    def take(self, event: e.ReplyToolCall) -> None:
        """Add a piece; what is over the limits is left out, and the call then has bad arguments."""
        if event.index not in self.calls and len(self.calls) >= MOST_CALLS:
            return
        call = self.calls.setdefault(event.index, ["", ""])
        call[0] = call[0] or event.name
        if len(call[1]) <= MOST_ARGUMENT_CHARS:
            call[1] += event.arguments

    def __bool__(self) -> bool:
        return bool(self.calls)

    def take_all(self) -> list[tuple[str, str]]:
        """Return (name, arguments) of each call in order, once."""
        calls = [(self.calls[index][0], self.calls[index][1]) for index in sorted(self.calls)]
        self.calls = {}
        return calls


@dataclass(slots=True)
class Opened:
    """What became of the tool calls of one answer."""

    unit: ToolUnit  # those that are dealt with now
    confirm: ToolUse | None = None  # waits until the caller has said yes
    question: str = ""  # the read-back for that
    mistakes: int = 0
    own: list[ToolUse] = field(default_factory=list)  # the call carries them out itself


class ToolRounds:
    """All tool calls of one call."""

    def __init__(self, rules: Iterable[ToolRules]) -> None:
        self._rules = {rule.name: rule for rule in rules}
        self._uses: dict[int, ToolUse] = {}
        self._commits: dict[int, list[ToolUse]] = {}
        self._twins: dict[int, list[ToolUse]] = {}  # tool_id: calls that get its result
        self._last_commit = 0
        self._last_tool = 0

    def timeout_us(self, unit: ToolUnit) -> int:
        """How long the slowest of the tools that are waited for may take."""
        rules = [self._rules[use.name] for use in unit.uses if not use.done]
        return 1000 * max((rule.timeout_ms for rule in rules if not rule.background), default=0)

    def taken_up(self, calls: list[tuple[str, str]], said: str) -> Opened:
        """Take the calls of one answer. Those that may run are begun by `commit`."""
        opened = Opened(ToolUnit(said, []))
        for name, text in calls:
            self._last_tool += 1
            arguments = _json_object(text)
            written = text if arguments is not None else "{}"
            use = ToolUse(self._last_tool, f"call_{self._last_tool}", name, written or "{}")
            rules = self._rules.get(name)
            if rules is None:
                known = ", ".join(self._rules) or "none"
                use.content = _error(f"there is no tool {name!r}; there are: {known}")
                opened.mistakes += 1
            elif arguments is None:
                use.content = _error("the arguments are no JSON object", status="bad_arguments")
                opened.mistakes += 1
            elif rules.confirm and opened.confirm is None:
                opened.confirm, opened.question = use, _filled(rules.confirm, arguments)
                continue
            elif rules.confirm:
                use.content = _error("not run: one thing at a time must be confirmed")
            elif rules.action != "run":
                opened.own.append(use)
            opened.unit.uses.append(use)
        return opened

    def commit(self, unit: ToolUnit) -> list[c.Command]:
        """Begin what is to run of a unit: make the decision durable first.

        A call that is the same as one whose outcome the caller does not know yet gets that one's result,
        unless the tool only reads.
        """
        fresh: list[ToolUse] = []
        for use in unit.uses:
            if use.done or self._rules[use.name].action != "run":
                continue
            twin = self._untold_twin(use)
            if twin is None:
                self._uses[use.tool_id] = use
                fresh.append(use)
            elif twin.done:
                use.content = twin.content
            else:
                self._twins.setdefault(twin.tool_id, []).append(use)
        self._forget()
        if not fresh:
            return []
        self._last_commit += 1
        self._commits[self._last_commit] = fresh
        return [c.Commit(self._last_commit)]

    def _untold_twin(self, use: ToolUse) -> ToolUse | None:
        if self._rules[use.name].read_only:
            return None
        wanted = _canonical(use.arguments)
        for other in self._uses.values():
            if other.name == use.name and not other.told and _canonical(other.arguments) == wanted:
                return other
        return None

    def _forget(self) -> None:
        for tool_id in [i for i, use in self._uses.items() if use.done][: -MOST_REMEMBERED or None]:
            if len(self._uses) <= MOST_REMEMBERED:
                break
            del self._uses[tool_id]

    def committed(self, event: e.Committed) -> list[c.RunTool]:
        """The decision is durable: run."""
        uses = self._commits.pop(event.commit_id, [])
        return [c.RunTool(use.tool_id, use.name, use.arguments) for use in uses]

    def result(self, event: e.ToolResult) -> list[ToolUse]:
        """Take a result. Returns the calls that it answers; none when it is not waited for."""
        use = self._uses.get(event.tool_id)
        if use is None or use.done:
            return []
        for commit_id in [i for i, uses in self._commits.items() if use in uses]:
            # After a crash: it was committed, and whoever recovers tells how it ended.
            self._commits[commit_id].remove(use)
        content = event.content[:MOST_RESULT_CHARS] or "{}"
        answered = [use, *self._twins.pop(event.tool_id, [])]
        for each in answered:
            each.content = content
        if event.status == "bad_arguments":
            # It did not run: the next try is no second time.
            del self._uses[event.tool_id]
        return answered

    def waited_for(self, unit: ToolUnit) -> bool:
        """True while a result is missing without which the model is not asked again."""
        return any(not use.done and not self._rules[use.name].background for use in unit.uses)

    @property
    def unfinished(self) -> list[c.RunTool]:
        """What was begun, or may have been, and has no result: for whoever picks up a broken call."""
        return [c.RunTool(u.tool_id, u.name, u.arguments) for u in self._uses.values() if not u.done]


def _json_object(text: str) -> dict[str, object] | None:
    if len(text) > MOST_ARGUMENT_CHARS:
        return None
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _canonical(arguments: str) -> str:
    return json.dumps(json.loads(arguments), sort_keys=True)


def _error(message: str, status: str = "failed") -> str:
    return json.dumps({"error": message, "status": status}, ensure_ascii=False)


def _filled(template: str, arguments: dict[str, object]) -> str:
    """Put arguments into a read-back. One that the model left out is not said."""
    filled = template
    for name, value in arguments.items():
        filled = filled.replace("{" + name + "}", str(value))
    return filled
