"""What the agent does besides talking: tools, the hand-over to a person, the outcome of the call.

Decides and keeps; `answering.py` hands the commands on and asks the model again.
"""

import json
from typing import Literal

from voicegw.call import commands as c
from voicegw.call import events as e
from voicegw.call import notices as n
from voicegw.call.dialogue import Dialogue, ToolUnit, ToolUse
from voicegw.call.reply import Reply
from voicegw.call.settings import CallSettings
from voicegw.call.tool_rounds import ToolRounds
from voicegw.call.yes_no import yes_or_no

# A carrier that has not told by then how a hand-over went will not tell any more.
TRANSFER_US = 30_000_000
# The model may repair its arguments once; then it must answer without tools.
MOST_MISTAKES = 1
# Of the caller's words and of each result, in a summary that nobody wrote.
SUMMARY_CHARS = 200


class Acting:
    """The acting side of one call."""

    def __init__(self, settings: CallSettings) -> None:
        self._settings = settings
        self._rounds = ToolRounds(settings.tools)
        self._late: list[ToolUnit] = []  # results that no request to the model has shown yet
        self._units: list[ToolUnit] = []  # with results that are missing
        self._asking: ToolUse | None = None  # the caller was asked for a yes to this
        self._read_back_heard = False
        self._handing: ToolUse | None = None
        self._transfer_to = ("", "")
        self.rescue = False  # no provider answers: the caller is being handed over for that
        self._rescued = False
        self.transfer_due: int | None = None  # a hand-over is under way, and is given up then
        self._outcome = self._summary = ""
        self._first_words = ""
        self._done: list[str] = []

    @property
    def unfinished(self) -> list[c.RunTool]:
        """Tools that were begun, or may have been, and have no result."""
        return self._rounds.unfinished

    # Tools

    def called(self, reply: Reply) -> list[c.Command]:
        """The model has called tools; what it wants of the call itself is noted in the reply."""
        opened = self._rounds.taken_up(reply.calls.take_all(), " ".join(reply.newest))
        reply.mistakes += opened.mistakes
        out: list[c.Command] = []
        for use in opened.own:
            out += self._do(use, reply)
        if opened.confirm is not None:
            reply.confirm = opened.confirm
            reply.add([opened.question])
        reply.acting = True
        reply.rounds.append((opened.unit, len(reply.sentences)))
        return out + self._begin(opened.unit)

    def _begin(self, unit: ToolUnit) -> list[c.Command]:
        if unit.uses:
            self._units.append(unit)
        return self._rounds.commit(unit)

    def _do(self, use: ToolUse, reply: Reply) -> list[c.Command]:
        """Carry out a tool that belongs to the call."""
        arguments = {key: str(value) for key, value in json.loads(use.arguments).items() if value is not None}
        action = next(rule.action for rule in self._settings.tools if rule.name == use.name)
        use.content = '{"ok": true}'
        if action == "end_call":
            self._outcome = arguments.get("outcome", "")[:SUMMARY_CHARS] or self._outcome
            self._summary = arguments.get("summary", "") or self._summary
            reply.hang_up = "agent"
            if not reply.sentences and self._settings.phrases.goodbye:
                reply.add([self._settings.phrases.goodbye])
        elif action == "callback":
            self._outcome = self._outcome or "callback"
            reason = arguments.get("reason", "")
            self._done.append(f"call back {arguments.get('when', '')}".strip())
            return [c.Notify(n.Callback(arguments.get("number", ""), arguments.get("when", ""), reason))]
        elif action == "transfer":
            self._hand_over(use, reply, arguments)
        return []

    def _hand_over(self, use: ToolUse, reply: Reply, arguments: dict[str, str]) -> None:
        transfers = self._settings.transfers
        target = arguments.get("target", "")
        target = target if target in transfers else next(iter(transfers), "")
        if not target or not self._settings.in_hours:
            use.content = json.dumps({"error": "nobody can take the call now; offer to call back"})
            return
        self._summary = arguments.get("summary", "") or self._summary
        self._handing = use
        reply.transfer = (target, arguments.get("reason", ""))
        if not reply.sentences and self._settings.phrases.transferring:
            reply.add([self._settings.phrases.transferring])

    def committed(self, event: e.Committed) -> list[c.Command]:
        """The journal is durable: run."""
        runs = self._rounds.committed(event)
        return [*runs, *(c.Notify(n.Tool(run.name, "running")) for run in runs)]

    def result(self, event: e.ToolResult, reply: Reply | None) -> list[c.Command]:
        """Take a result. One that its reply does not wait for any more is told at the next good moment."""
        uses = self._rounds.result(event)
        if not uses:
            return []
        status: Literal["done", "failed", "unknown"] = "done" if event.status == "done" else "failed"
        if event.status in ("unknown", "timeout"):
            status = "unknown"
        self._done.append(f"{uses[0].name}: {status}")
        del self._done[:-20]
        if reply is not None and event.status == "bad_arguments":
            reply.mistakes += 1
        for unit in [unit for unit in self._units if all(use.done for use in unit.uses)]:
            self._units.remove(unit)
            waits = reply is not None and reply.acting and any(r is unit for r, _ in reply.rounds)
            if not waits:
                self._late.append(unit)
        return [c.Notify(n.Tool(uses[0].name, status))]

    def next_step(self, reply: Reply) -> Literal["wait", "ask", "ask_words", "end"]:
        """What comes after the newest round of tools of a reply."""
        unit, _ = reply.rounds[-1]
        if self._rounds.waited_for(unit):
            return "wait"
        if reply.hang_up or reply.transfer or reply.confirm is not None:
            return "end"
        if not unit.uses:
            return "end"
        if reply.mistakes > MOST_MISTAKES or len(reply.rounds) >= self._settings.tool_rounds:
            return "ask_words"
        return "ask"

    def timeout_us(self, reply: Reply) -> int:
        """How long the tools that a reply waits for may take."""
        return self._rounds.timeout_us(reply.rounds[-1][0])

    def take_late(self) -> list[ToolUnit]:
        """Return the results that the model has not been shown, once."""
        late, self._late = self._late, []
        return late

    @property
    def has_late(self) -> bool:
        """True when there is something to tell the caller of."""
        return bool(self._late)

    def show_late(self, dialogue: Dialogue) -> None:
        """The model is asked: all results that have come are in its history, also of forgotten exchanges."""
        for unit in self.take_late():
            if not dialogue.remembers(unit):
                dialogue.tools_called(unit)

    def reply_ended(self, reply: Reply, *, cut: bool) -> None:
        """A reply was heard, or cut off."""
        if reply.confirm is not None:
            self._asking, reply.confirm = reply.confirm, None
            self._read_back_heard = not cut
        if not cut:
            for unit, _ in reply.rounds:
                for use in unit.uses:
                    use.told = use.done

    # The caller's yes

    @property
    def decides(self) -> bool:
        """True while the caller's next words decide about a tool."""
        return self._asking is not None

    def answered(self, text: str) -> tuple[ToolUnit, list[c.Command]] | None:
        """The caller speaks. If a yes was waited for, return the tool call that this decides."""
        if not self._first_words:
            self._first_words = text[:SUMMARY_CHARS]
        use, self._asking = self._asking, None
        if use is None:
            return None
        answer = yes_or_no(text)
        unit = ToolUnit("", [use])
        if answer == "yes" and self._read_back_heard:
            return unit, self._begin(unit)
        why = "the caller said no" if answer == "no" else "the caller has not clearly said yes"
        if answer == "yes":
            why = "the caller interrupted the read-back; read it back again"
        use.content = json.dumps({"status": "not run", "reason": why})
        return unit, []

    # The hand-over

    def take_rescue(self) -> str:
        """Return who can take the caller over when no provider answers, once in a call; "" for nobody."""
        target = next(iter(self._settings.transfers), "")
        if self._rescued or not target or not self._settings.in_hours:
            return ""
        self.rescue = self._rescued = True
        return target

    def hand_over(self, reply: Reply, now: int) -> list[c.Command]:
        """The caller has heard that somebody else takes over: do it."""
        assert reply.transfer is not None
        target, reason = reply.transfer
        address = self._settings.transfers[target]
        self._transfer_to = (target, address)
        self.transfer_due = now + TRANSFER_US
        summary = self.summary
        return [
            c.Notify(n.Transfer(target, "started", address, reason, summary)),
            c.Transfer(target, address, reason, summary),
        ]

    def transfer_ended(self, done: bool) -> list[c.Command]:
        """The hand-over has worked or not. If not, the model is to tell the caller."""
        if self.transfer_due is None:
            return []
        self.transfer_due = None
        target, address = self._transfer_to
        if done:
            self._outcome = "transferred"
        elif self._handing is not None:
            error = json.dumps({"error": "nobody has answered; offer to call back"})
            was = self._handing
            ended = ToolUse(was.tool_id, f"{was.call_id}_ended", was.name, was.arguments, error)
            self._late.append(ToolUnit("", [ended]))
        self._handing = None
        return [c.Notify(n.Transfer(target, "done" if done else "failed", address))]

    # The end

    @property
    def summary(self) -> str:
        """What the agent wrote, else the caller's first words and what the tools did."""
        if self._summary:
            return self._summary
        parts = [self._first_words, *self._done]
        return "; ".join(part for part in parts if part)

    @property
    def outcome(self) -> n.Outcome:
        """What came of the call."""
        return n.Outcome(self._outcome or "not_stated", self.summary)
