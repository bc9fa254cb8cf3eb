"""The table of docs/sentences.md: how many of the hard cases each splitter gets right.

`python tests/sentence_table.py` prints it, and what both cost.
"""

import time
import warnings
from collections.abc import Callable

from sentence_cases import HARD, Case

from voicegw.call.sentences import SentenceChunker
from voicegw.call.spoken_form import SpokenForm

with warnings.catch_warnings():
    # Its source has escapes that Python calls wrong.
    warnings.simplefilter("ignore")
    import pysbd

# pysbd has no Vietnamese and no Korean; English is the nearest that it has.
PYSBD_LANGUAGES = {"vi": "en", "ko": "en"}


def ours(language: str, text: str) -> list[str]:
    """The pieces behind a first one, which has rules of its own."""
    chunker = SentenceChunker(language)
    return (chunker.push("Ok.\n" + text) + chunker.finish())[1:]


def theirs(language: str, text: str) -> list[str]:
    """What pysbd makes of the whole text."""
    splitter = pysbd.Segmenter(language=PYSBD_LANGUAGES.get(language, language), clean=False)
    return [sentence.strip() for sentence in splitter.segment(text)]


def table() -> str:
    """Return the table as Markdown, with the cases that either gets wrong below it."""
    rows = ["| kind | cases | voicegw | pysbd 0.3.4 |", "|---|---|---|---|"]
    wrong: list[str] = []
    totals = [0, 0, 0]
    for kind, cases in HARD.items():
        right = [
            sum(split(language, text) == sentences for language, text, sentences in cases)
            for split in (ours, theirs)
        ]
        rows.append(f"| {kind} | {len(cases)} | {right[0]} | {right[1]} |")
        totals = [total + count for total, count in zip(totals, [len(cases), *right], strict=True)]
        wrong += [
            _wrong(case) for case in cases if theirs(*case[:2]) != case[2] or ours(*case[:2]) != case[2]
        ]
    rows.append(f"| **all** | **{totals[0]}** | **{totals[1]}** | **{totals[2]}** |")
    return (
        "\n".join(
            [*rows, "", "| text that one of them tears or glues | voicegw | pysbd |", "|---|---|---|", *wrong]
        )
        + "\n"
    )


def _wrong(case: Case) -> str:
    language, text, sentences = case
    shown = [
        "right" if found == sentences else " ‖ ".join(found).replace("\n", " ").replace("|", "\\|")
        for found in (ours(language, text), theirs(language, text))
    ]
    return f"| {text} | {shown[0]} | {shown[1]} |".replace("\n", " ")


# 47 words of a delivery assistant, with a price, a date, a time, an order and a telephone number.
REPLY = (
    "Dạ em kiểm tra rồi ạ, đơn DH123456 của anh đang ở kho Q. 7, TP.HCM. Tổng tiền là 1.234.500đ đã gồm phí "
    "giao hàng. Shipper sẽ tới ngày 24/11 lúc 10:30, số điện thoại là 0912 345 678. "
    "Anh nhớ giữ máy giúp em nhé."
)


def microseconds(work: Callable[[], object], times: int = 200) -> float:
    """The least time that the work took."""
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def cost() -> str:
    """Say what a reply in tokens of about four characters costs each of them, and its spoken form."""
    tokens = [REPLY[at : at + 4] for at in range(0, len(REPLY), 4)]

    def chunked() -> list[str]:
        chunker = SentenceChunker("vi")
        return [piece for token in tokens for piece in chunker.push(token)] + chunker.finish()

    form = SpokenForm("vi")
    pieces = chunked()
    splitter = pysbd.Segmenter(language="en", clean=False)
    rows = [
        f"a reply of {len(REPLY)} characters in {len(tokens)} tokens:",
        f"  voicegw, token by token  {microseconds(chunked):7.0f} us",
        f"  its spoken form          {microseconds(lambda: [form.say(piece) for piece in pieces]):7.0f} us",
        f"  pysbd, at once           {microseconds(lambda: splitter.segment(REPLY)):7.0f} us",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
    print(cost())
