"""Ask Python's own documentation in plain words, through LangChain, LlamaIndex and Haystack side by side.

    python examples/search_stdlib.py
    python examples/search_stdlib.py "sort a list" "parse a date"
    python examples/search_stdlib.py --corpus FOLDER "what the texts say about this"
    OPENROUTER_API_KEY=... python examples/search_stdlib.py --model qwen/qwen3-embedding-8b

Without a key and --model it starts the local gateway, which needs neither key nor network. It ends with 1 where the
frameworks differ or, on its own texts and questions and the local model, where a right answer is not found.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stdlib_corpus import folder, standard_library

if TYPE_CHECKING:
    from stdlib_stores import Hit, Store

QUESTIONS = {
    "turn a string into a date and time": "datetime.datetime.strptime",
    "copy a whole directory": "shutil.copytree",
    "create a temporary file": "tempfile.TemporaryFile",
    "pick a random element from a list": "random.Random.choice",
    "run a command and capture its output": "subprocess.check_output",
    "wait until several threads have finished": "threading.Thread.join",
    "measure the time a small piece of code takes": "timeit.Timer",
}
"""Each question of the demo, and what must be among the best five answers."""
LOCAL_MODEL, LOCAL_DIMENSIONS = "openai/text-embedding-3-small", 256
"""Any id would do: the local gateway answers to all of them with one small model of 256 dimensions."""
LEAST_ENTRIES = 3500
BEST = 5
WINDOW = 1024
"""Texts handed over at a time: the step of the progress bar."""


@dataclass(frozen=True)
class Where:
    """Where the embeddings come from. `close` is how far two equal scores may lie apart."""

    options: dict[str, Any]
    said: str
    is_known_model: bool = False
    close: float = 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    given = read_arguments(arguments)
    stay_quiet()
    texts = folder(given.corpus) if given.corpus else standard_library()
    print(f"{len(texts):,} texts from {given.corpus or 'the standard library of Python ' + sys.version.split()[0]}")
    if not texts:
        print("There is nothing to search: no text files with paragraphs were found.", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        where = gateway(stack, given.model, given.dimensions)
        print(where.said + "\n")
        from stdlib_stores import FRAMEWORKS  # late: the frameworks read the environment when they are imported

        stores = [framework(**where.options) for framework in FRAMEWORKS]
        seconds = [index(store, texts) for store in stores]
        questions = given.questions or (list(QUESTIONS) if not given.corpus else typed())
        good = [answer(stores, question, given.top, where) for question in questions]
        print_totals(stores, seconds, len(texts))
    own = not given.corpus and not given.questions
    return verdict(agree=all(good), enough=not own or len(texts) >= LEAST_ENTRIES)


def read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[0])
    parser.add_argument("questions", nargs="*", help="what to ask; by default seven questions with known answers")
    parser.add_argument("--model", help="the gateway's model id; with OPENROUTER_API_KEY set, the real one is asked")
    parser.add_argument("--dimensions", type=int, help="width of the embeddings; by default the model's own")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="search the paragraphs of your own text files")
    parser.add_argument("--top", type=int, default=BEST, help="how many answers to show (default: %(default)s)")
    given = parser.parse_args(arguments)
    if given.corpus and not given.corpus.is_dir():
        parser.error(f"there is no folder {given.corpus}")
    if given.top < 1:
        parser.error("--top must be at least 1")
    return given


def stay_quiet() -> None:
    """Keep the frameworks from reporting home, and the way to this machine free of proxies."""
    os.environ.setdefault("HAYSTACK_TELEMETRY_ENABLED", "False")
    os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))


def gateway(stack: ExitStack, model: str | None, dimensions: int | None) -> Where:
    """Return the real gateway where a key and a model are given, else the local one, started here."""
    key = os.environ.get("OPENROUTER_API_KEY", "").strip()
    width = {} if dimensions is None else {"dimensions": dimensions}
    if key and model:
        said = f"Embedding with {model} through the gateway that OPENROUTER_API_KEY is for."
        return Where({"model": model, "api_key": key, "base_url": None, **width}, said)
    from openrouter_embeddings_gateway import LocalGateway

    local = stack.enter_context(LocalGateway())
    if not model and not width:
        width = {"dimensions": LOCAL_DIMENSIONS}
    served, stats = model or LOCAL_MODEL, local.stats()
    options = {"model": served, "api_key": "local", "base_url": local.base_url, **width}
    said = f"Embedding with {stats['model']}, a small local model that stands in for {served}; no key, no network."
    return Where(options, said, is_known_model=bool(stats["real_model"]) and not model, close=1e-4)


def index(store: Store, texts: list[str]) -> float:
    """Put the texts into a store under a progress bar; return the seconds it took."""
    from tqdm import tqdm

    started = time.perf_counter()
    with tqdm(total=len(texts), desc=f"{store.name:<10}", unit=" texts", ascii=" #", file=sys.stdout) as bar:
        for start in range(0, len(texts), WINDOW):
            store.add(texts[start : start + WINDOW])
            bar.update(len(texts[start : start + WINDOW]))
    return time.perf_counter() - started


def typed() -> list[str]:
    """Return the questions that come on standard input, one a line."""
    print("Ask, one question a line; an empty line or the end of the input ends it:")
    questions = []
    for line in sys.stdin:
        if not line.strip():
            break
        questions.append(line.strip())
    return questions


def answer(stores: list[Store], question: str, count: int, where: Where) -> bool:
    """Print what each store finds, side by side; return whether they agree and what must be there is there."""
    # One more is asked for than is shown, so that a tie at the last place can be told from a difference.
    hits = [store.ask(question, max(count, BEST) + 1) for store in stores]
    print(f"\n{question}")
    print("  " + "  ".join(f"{store.name:>10}" for store in stores))
    shown = list(dict.fromkeys(text for found in hits for _, text in found[:count]))
    for text in shown:
        scores = [next((f"{score:.3f}" for score, other in found if other == text), "-") for found in hits]
        print("  " + "  ".join(f"{score:>10}" for score in scores) + f"  {text[:100]}")
    same = all(agree(hits[0], other, max(count, BEST), where.close) for other in hits[1:])
    print(f"  {'same hits from all three' if same else 'THE HITS DIFFER'}", end="")
    expected = QUESTIONS.get(question) if where.is_known_model else None
    if expected is None:
        print()
        return same
    found = all(any(text.startswith(f"{expected}: ") for _, text in one[:BEST]) for one in hits)
    print(f"; {expected} {'is' if found else 'IS NOT'} among the best {BEST}")
    return same and found


def agree(one: list[Hit], other: list[Hit], count: int, close: float) -> bool:
    """Return whether two lists hold the same hits with the same scores; ties may stand in either order."""
    if len(one) != len(other):
        return False
    scores = {text: score for score, text in other}
    last = one[min(count, len(one)) - 1][0]
    in_step = all(abs(mine[0] - theirs[0]) <= close for mine, theirs in zip(one, other, strict=True))
    return in_step and all(abs(scores.get(text, last) - score) <= close for score, text in one[:count])


def print_totals(stores: list[Store], seconds: list[float], texts: int) -> None:
    """Print what each framework's embeddings took."""
    print(f"\n  {'':<10}  {'tokens':>9}  {'cost, USD':>11}  {'requests':>8}  {'seconds':>7}  {'texts/s':>7}")
    for store, took in zip(stores, seconds, strict=True):
        usage = store.usage
        line = (
            f"{usage.total_tokens:>9,}  {usage.cost:>11.6f}  {usage.requests:>8,}  {took:>7.2f}  {texts / took:>7,.0f}"
        )
        print(f"  {store.name:<10}  {line}")


def verdict(*, agree: bool, enough: bool) -> int:
    """Print how it ended and return the exit code."""
    if not enough:
        print(f"\nFAILED: fewer than {LEAST_ENTRIES:,} texts were gathered.")
    elif not agree:
        print("\nFAILED: see the lines in capitals above.")
    else:
        print("\nAll well: the three frameworks found the same.")
    return 0 if agree and enough else 1


if __name__ == "__main__":
    sys.exit(main())
