"""The recognition processes: bounded waiting, deadlines, and what happens when one dies."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from embedded_audio import TESTS, read

from voicegw.embedded.errors import ApiError
from voicegw.embedded.language_model import arpa, expand, language_model, read_phrases
from voicegw.embedded.recogniser import Recogniser

PCM = read(TESTS / "data/goforward.flac").astype("<i2").tobytes()


async def text(recogniser: Recogniser) -> str:
    return " ".join(word.word for word in await recogniser.recognise(PCM))


async def turned(condition: Callable[[], bool]) -> None:
    """Let other tasks run until they have made `condition` true."""
    while not condition():  # noqa: ASYNC110  (one turn of the loop at a time; no time is waited)
        await asyncio.sleep(0)


@pytest.fixture
async def recogniser() -> AsyncIterator[Recogniser]:
    async with Recogniser(1, max_waiting=2) as made:
        yield made


async def test_a_request_before_the_process_is_ready_waits_for_it(recogniser: Recogniser) -> None:
    """The port answers at once, the models load meanwhile: the first caller must not get an error."""
    assert recogniser.ready_workers == 0
    assert await text(recogniser) == "go forward ten meters"
    assert recogniser.ready_workers == 1


async def test_a_full_queue_refuses_at_once(recogniser: Recogniser) -> None:
    """Waiting behind too many would end after the caller's patience; 429 lets the gateway choose."""
    waiting = [asyncio.create_task(text(recogniser)) for _ in range(2)]
    await turned(lambda: recogniser.waiting == 2)
    with pytest.raises(ApiError) as refused:
        await recogniser.recognise(PCM)
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, "queue_full", 1)
    assert await asyncio.gather(*waiting) == ["go forward ten meters"] * 2


async def test_a_cancelled_request_leaves_the_queue(recogniser: Recogniser) -> None:
    """Speculative transcriptions are dropped all the time; they must not hold the place of real ones."""
    task = asyncio.create_task(text(recogniser))
    await turned(lambda: recogniser.waiting == 1)
    task.cancel()
    await asyncio.wait({task})
    assert recogniser.waiting == 0
    assert await text(recogniser) == "go forward ten meters"


async def test_a_deadline_ends_the_waiting() -> None:
    """A request that hangs for ever is the one fault a caller cannot be told about."""
    async with Recogniser(1, deadline_s=0.01) as recogniser:
        with pytest.raises(ApiError) as late:
            await recogniser.recognise(PCM)
        assert (late.value.status, late.value.code) == (503, "deadline_passed")
        assert recogniser.waiting == 0


async def test_a_process_that_dies_is_told_and_replaced(recogniser: Recogniser) -> None:
    """One broken file may not end recognition for all later callers."""
    await text(recogniser)
    (child,) = [c for c in psutil.Process().children() if "voicegw.embedded.worker" in c.cmdline()]
    child.suspend()  # so that it dies while it has work, not between two
    task = asyncio.create_task(text(recogniser))
    await turned(lambda: recogniser.waiting > 0)
    await turned(lambda: recogniser.waiting == 0)
    child.kill()
    with pytest.raises(ApiError) as died:
        await task
    assert (died.value.status, died.value.code) == (503, "worker_died")
    assert await text(recogniser) == "go forward ten meters"


async def test_nothing_is_left_when_it_ends() -> None:
    """A recognition process that outlived the provider would hold 190 MB for ever."""
    async with Recogniser(2) as recogniser:
        await text(recogniser)
    assert [c for c in psutil.Process().children() if "voicegw.embedded.worker" in c.cmdline()] == []


def test_a_pattern_has_all_its_wordings() -> None:
    """The phrase file is the vocabulary of the demonstration; its notation must mean what it says."""
    assert expand("(can|could) you [please] [a b|c]")[:2] == [
        ["can", "you", "please", "a", "b"],
        ["can", "you", "please", "c"],
    ]
    assert len(expand("(can|could) you [please] [a b|c]")) == 12


def test_the_probabilities_after_each_history_sum_to_one() -> None:
    """A model that is not normalised favours some words for no reason, and no one would notice."""
    general = {"a": 0.5, "b": 0.3, "c": 0.2}
    model = arpa(read_phrases("a b\n(a|b) c [a]"), general)
    probability: dict[tuple[str, ...], float] = {}
    back_off: dict[tuple[str, ...], float] = {}
    order = 0
    for line in model.splitlines():
        if line.endswith("-grams:"):
            order = int(line[1])
        elif order and "\t" in line:
            fields = line.split("\t")
            gram = tuple(fields[1].split())
            probability[gram] = 10 ** float(fields[0])
            back_off[gram] = 10 ** float(fields[2]) if len(fields) > 2 else 1.0

    def chance(word: str, history: tuple[str, ...]) -> float:
        if (*history, word) in probability:
            return probability[*history, word]
        return back_off.get(history, 1.0) * chance(word, history[1:])

    words = [gram[0] for gram in probability if len(gram) == 1 and gram not in {("<s>",), ("<unk>",)}]
    for history in [(), ("a",), ("<s>",), ("<s>", "a"), ("a", "b"), ("b", "c"), ("c", "c")]:
        assert sum(chance(word, history) for word in words) == pytest.approx(1.0, abs=1e-3)


def test_the_model_is_built_even_where_the_cache_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Containers often have a read-only home; the file is then temporary and goes."""
    not_a_folder = tmp_path / "file"
    not_a_folder.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(not_a_folder))
    with language_model() as path:
        assert path.read_text().startswith("\\data\\")
    assert not path.exists()


def test_the_model_is_built_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second start must be quicker than the first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with language_model() as path:
        written = path.stat().st_mtime_ns
    with language_model() as again:
        assert (again, again.stat().st_mtime_ns) == (path, written)
    assert sys.getsizeof(path.read_bytes()) < 4_000_000
