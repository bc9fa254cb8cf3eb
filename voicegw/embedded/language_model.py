"""Build the recogniser's language model: the agent's own phrases over general English.

A trigram model of the phrases in `data/phrases.txt` is interpolated with the single-word probabilities of
the general model in the pocketsphinx wheel, so that callers' usual sentences are recognised best and any
other common word remains possible. The result is an ARPA file
(https://cmusphinx.github.io/wiki/arpaformat/), kept in the user's cache folder under a name that changes
with its inputs.
"""

import hashlib
import itertools
import math
import os
import random
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

_PHRASES = Path(__file__).parent / "data" / "phrases.txt"
# Share of the general model: high enough for a stray word, low enough that digits stay digits.
_GENERAL_SHARE = 0.3
# Wordings taken from one line; a line with more of them is sampled evenly.
_WORDINGS_PER_LINE = 240
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_LOG_ZERO = -99.0
# What one kind of successor counts for against the weight of a history: weights are fractions of a line,
# and the usual line has some tens of wordings.
_WITTEN_BELL_UNIT = 0.02

Gram = tuple[str, ...]


@contextmanager
def language_model() -> Iterator[Path]:
    """Give the path of the ARPA file, building it first where it is missing (0.6 s of one core).

    The cached file appears whole or not at all, so several processes may call this at once. Where the cache
    folder cannot be written the file is temporary and goes when the context ends.
    """
    cached = _cache_dir() / f"agent-{_key()}.arpa"
    if cached.exists():
        yield cached
        return
    text = arpa(read_phrases(_PHRASES.read_text(encoding="utf-8")), general_unigrams())
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=cached.parent, delete=False) as file:
            file.write(text)
        os.replace(file.name, cached)
    except OSError:  # a read-only home is common in containers
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "agent.arpa"
            path.write_text(text, encoding="utf-8")
            yield path
        return
    yield cached


def _key() -> str:
    """Return a name for what the file is made from: phrases, this code and the general model."""
    parts = (_PHRASES.read_bytes(), Path(__file__).read_bytes(), metadata.version("pocketsphinx").encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "voicegw"


def general_unigrams() -> dict[str, float]:
    """Return the probability of each word of the wheel's general model that the dictionary can pronounce."""
    import pocketsphinx

    models = Path(pocketsphinx.get_model_path("en-us"))
    log_math = pocketsphinx.LogMath()
    model = pocketsphinx.NGramModel(pocketsphinx.Config(), log_math, str(models / "en-us.lm.bin"))
    unknown: int = log_math.get_zero()
    found: dict[str, float] = {}
    for line in (models / "cmudict-en-us.dict").read_text(encoding="utf-8").splitlines():
        word = line.split(" ", 1)[0]
        if word.endswith(")"):  # a second pronunciation of a word that is already there
            continue
        log_probability = model.prob([word])
        if log_probability > unknown:
            found[word] = log_math.exp(log_probability)
    return found


def read_phrases(text: str) -> Iterator[tuple[Gram, float]]:
    """Yield each wording of each phrase with its weight; the wordings of one line share a weight of 1."""
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        # The seed is the line itself, so that adding a line leaves the others as they were.
        choose = random.Random(line)
        wordings = [words for words in expand(line) if words]
        if len(wordings) > _WORDINGS_PER_LINE:
            wordings = choose.sample(wordings, _WORDINGS_PER_LINE)
        if "<digits>" in line or "<price>" in line:
            wordings = [
                _fill(words, choose)
                for words in itertools.islice(itertools.cycle(wordings), _WORDINGS_PER_LINE)
            ]
        for words in wordings:
            yield tuple(words), 1 / len(wordings)


def expand(pattern: str) -> list[list[str]]:
    """Return all wordings of a pattern with (a|b) and [a|b]; groups do not nest.

    >>> expand("(can|could) you [please]")
    [['can', 'you', 'please'], ['can', 'you'], ['could', 'you', 'please'], ['could', 'you']]
    """
    slots: list[list[str]] = []
    for required, optional, plain in re.findall(r"\(([^)]*)\)|\[([^\]]*)\]|([^\s()\[\]]+)", pattern):
        if required:
            slots.append(required.split("|"))
        elif optional:
            slots.append([*optional.split("|"), ""])
        else:
            slots.append([plain])
    return [" ".join(choice).split() for choice in itertools.product(*slots)]


def _fill(words: Iterable[str], choose: random.Random) -> list[str]:
    filled: list[str] = []
    for word in words:
        if word == "<digits>":
            filled += _spoken_digits(choose)
        elif word == "<price>":
            filled += [choose.choice((*_DIGITS[1:], "ten", "fifteen", "twenty", "thirty")), "million"]
            filled += choose.choice(([], ["dong"]))
        else:
            filled.append(word)
    return filled


def _spoken_digits(choose: random.Random) -> list[str]:
    """Six digits as people say them: one by one mostly, sometimes "oh", "double three" or pairs."""
    style = choose.random()
    if style < 0.06:
        return [choose.choice((*_TENS, *_DIGITS[1:])) for _ in range(3)]
    digits = [choose.choice(_DIGITS) for _ in range(6 if style < 0.9 else choose.randint(2, 5))]
    if style < 0.14:
        at = choose.randrange(5)
        digits[at : at + 2] = ["double", choose.choice(_DIGITS)]
    return ["oh" if digit == "zero" and choose.random() < 0.3 else digit for digit in digits]


def arpa(phrases: Iterable[tuple[Gram, float]], general: dict[str, float]) -> str:
    """Return a trigram model of weighted phrases, mixed with general word probabilities, as ARPA text.

    Each order is interpolated with the next lower one by Witten-Bell's weights, which an ARPA file can say
    exactly: the back-off weight of a history is then its share of the lower order. Words of the phrases
    that `general` does not know keep only their share from the phrases.
    """
    counts: list[defaultdict[Gram, float]] = [defaultdict(float) for _ in range(3)]
    for words, weight in phrases:
        padded = ("<s>", *words, "</s>")
        for order in range(3):
            for start in range(len(padded) - order):
                counts[order][padded[start : start + order + 1]] += weight
    del counts[0][("<s>",)]

    total = sum(counts[0].values())
    rest = sum(p for word, p in general.items() if word not in ("<s>", "</s>"))
    probability: dict[Gram, float] = {(w,): _GENERAL_SHARE * p / rest for w, p in general.items()}
    for gram, count in counts[0].items():
        probability[gram] = probability.get(gram, 0.0) + (1 - _GENERAL_SHARE) * count / total
    back_off: dict[Gram, float] = {}
    for order in (1, 2):
        seen: defaultdict[Gram, float] = defaultdict(float)
        kinds: defaultdict[Gram, int] = defaultdict(int)
        for gram, count in counts[order].items():
            seen[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        for history, count in seen.items():
            novelty = kinds[history] * _WITTEN_BELL_UNIT
            back_off[history] = novelty / (novelty + count)
        for gram, count in counts[order].items():
            history = gram[:-1]
            share = back_off[history]
            probability[gram] = (1 - share) * count / seen[history] + share * probability[gram[1:]]
    return _write(probability, back_off)


def _write(probability: dict[Gram, float], back_off: dict[Gram, float]) -> str:
    orders: list[list[Gram]] = [sorted(g for g in probability if len(g) == n) for n in (1, 2, 3)]
    orders[0] = sorted({*orders[0], ("<s>",), ("</s>",), ("<unk>",)})
    lines = ["\\data\\", *(f"ngram {n}={len(grams)}" for n, grams in enumerate(orders, 1))]
    for n, grams in enumerate(orders, 1):
        lines += ["", f"\\{n}-grams:"]
        for gram in grams:
            p = probability.get(gram, 0.0) if gram != ("<s>",) else 0.0
            log_p = math.log10(p) if p > 0 else _LOG_ZERO
            weight = f"\t{math.log10(back_off.get(gram, 1.0)):.4f}" if n < 3 else ""
            lines.append(f"{log_p:.4f}\t{' '.join(gram)}{weight}")
    return "\n".join([*lines, "", "\\end\\", ""])
