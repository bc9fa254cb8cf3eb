"""What is said and what is written, in whole calls on virtual time."""

from pathlib import Path

from rehearsed import on_virtual_time, rehearsed

from voicegw.rehearsal.caller import dialling
from voicegw.rehearsal.script import Script

PER_CHAR_MS = 60.0
WRITTEN = "Đơn DH123456 của anh có giá 20.990.000đ và sẽ tới trong hôm nay ạ."
SAID = (
    "Đơn đê hát, một hai ba, bốn năm sáu của anh có giá hai mươi triệu chín trăm chín mươi nghìn đồng "
    "và sẽ tới trong hôm nay ạ."
)


def script_of(*replies: str) -> Script:
    """A voice of even pace, and a model that answers at once."""
    return Script(llm=replies, speech_ms=lambda text: PER_CHAR_MS * len(text))


@on_virtual_time
async def test_the_voice_says_words_and_the_history_keeps_what_was_written(tmp_path: Path) -> None:
    """TTS gets the spoken form; transcript, events and the model's next question have the text."""
    script = script_of(WRITTEN, "Dạ vâng ạ.")
    async with (
        rehearsed(tmp_path, script) as rehearsal,
        dialling(rehearsal.gateway, query={"persona": "giao-hang"}) as caller,
    ):
        await caller.event("speech_stopped")
        caller.send("text", text="Đơn của em đâu?")
        shown = await caller.event("reply_text", kind="reply")
        assert shown.fields["text"] == WRITTEN
        stopped = await caller.event("speech_stopped", cut=False)
        assert stopped.fields["heard"] == WRITTEN
        assert SAID in [request.fields["input"] for request in rehearsal.provider.received("tts")]
        caller.send("text", text="Cảm ơn.")
        await caller.event("reply_text", kind="reply")
        asked = rehearsal.provider.received("llm")[-1].fields["messages"]
        assert WRITTEN in [message["content"] for message in asked if message["role"] == "assistant"]


@on_virtual_time
async def test_a_price_cut_in_its_middle_was_not_heard(tmp_path: Path) -> None:
    """The caller who heard "twenty million nine" does not know the price, and the model must not think so."""
    script = script_of(WRITTEN, "Dạ vâng ạ.")
    async with (
        rehearsed(tmp_path, script) as rehearsal,
        dialling(rehearsal.gateway, query={"persona": "giao-hang"}) as caller,
    ):
        await caller.event("speech_stopped")
        caller.send("text", text="Đơn của em đâu?")
        started = await caller.event("speech_started", kind="reply")
        # In the middle of the price: by letters of the text alone all of it would have been heard.
        middle_s = (SAID.index("chín trăm") + 4) * PER_CHAR_MS / 1000
        assert middle_s > len("Đơn DH123456 của anh có giá 20.990.000đ") * PER_CHAR_MS / 1000
        await caller.until(started.at_s + middle_s)
        caller.send("text", text="Khoan đã.")
        stopped = await caller.event("speech_stopped", cut=True)
        assert stopped.fields["heard"] == "Đơn DH123456 của anh có giá"


@on_virtual_time
async def test_no_more_than_two_sentences_are_at_tts(tmp_path: Path) -> None:
    """A sentence that is made and never heard is paid for; one too few is a gap in the speech."""
    numbers = ("một", "hai", "ba", "bốn", "năm", "sáu")
    script = script_of(" ".join(f"Đây là câu thứ {n} để người nghe còn phải chờ ạ." for n in numbers))
    async with (
        rehearsed(tmp_path, script) as rehearsal,
        dialling(rehearsal.gateway, query={"persona": "giao-hang"}) as caller,
    ):
        await caller.event("speech_stopped")
        before = len(rehearsal.provider.received("tts"))
        caller.send("text", text="Em nghe.")
        for heard in range(6):
            await caller.event("reply_text", kind="reply", speech_id=heard + 2)
            made = len(rehearsal.provider.received("tts")) - before
            assert made <= heard + 2
        await caller.event("speech_stopped", cut=False)
        assert len(rehearsal.provider.received("tts")) - before == 6
