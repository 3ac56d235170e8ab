"""Write the sample request trace that ships: ten minutes of an invented chat service.

    python -m workloads.make_sample_trace [FILE]

Conversations start at random (Poisson). Every prompt begins with the same system prompt; a later turn of a
conversation repeats what was said before and adds a message. Lengths are lognormal, and one first message
in five brings a document. The numbers are invented to be like those that public traces of chat services
show (a prompt median of about a thousand tokens with a tail of tens of thousands, answers of a few
hundred); no record of any such trace is in it. Ids cover 16 tokens each and are prefix-chained: an equal id
means that the block and everything before it is equal.
"""

import gzip
import heapq
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SAMPLE = Path(__file__).parent / "traces" / "sample_chat.jsonl.gz"
SEED = 20260101
SPAN_S = 600.0
CONVERSATIONS_PER_S = 0.26
MORE_TURNS = 0.55
"""Chance that a conversation goes on after an answer."""
PAUSE_S = 40.0
"""Mean time between an answer and the next message."""
ANSWER_TOKENS_PER_S = 40.0
BLOCK_TOKENS = 16
SYSTEM_TOKENS = 640
DOCUMENT_SHARE = 0.2
MAX_PROMPT = 32768


@dataclass
class Conversation:
    """Prompt so far: its length and the ids of its full blocks."""

    prompt_tokens: int
    full_ids: list[int] = field(default_factory=list)


class Ids:
    """Fresh block ids; the first ones belong to the system prompt."""

    def __init__(self) -> None:
        self.system = list(range(SYSTEM_TOKENS // BLOCK_TOKENS))
        self._next = len(self.system)

    def fresh(self, count: int) -> list[int]:
        first = self._next
        self._next += count
        return list(range(first, self._next))


def _length(rng: np.random.Generator, median: float, sigma: float, least: int, most: int) -> int:
    return int(np.clip(rng.lognormal(np.log(median), sigma), least, most))


def _message(rng: np.random.Generator, first: bool) -> int:
    """Tokens that the user adds."""
    tokens = _length(rng, 90, 1.1, 4, 4096)
    if first and rng.random() < DOCUMENT_SHARE:
        tokens += _length(rng, 6000, 1.0, 500, MAX_PROMPT - 6000)
    return tokens


def _ask(talk: Conversation, tokens: int, ids: Ids) -> list[int]:
    """Lengthen the prompt by `tokens`; its block ids, the last one for a part-filled block."""
    talk.prompt_tokens += tokens
    full = talk.prompt_tokens // BLOCK_TOKENS
    talk.full_ids += ids.fresh(full - len(talk.full_ids))
    part = ids.fresh(1) if talk.prompt_tokens % BLOCK_TOKENS else []
    return talk.full_ids + part


def requests(seed: int = SEED) -> list[dict[str, Any]]:
    """The requests in order of arrival, as the lines of the trace file. Same seed, same list."""
    rng = np.random.default_rng(seed)
    ids = Ids()
    starts = np.cumsum(rng.exponential(1 / CONVERSATIONS_PER_S, int(2 * SPAN_S * CONVERSATIONS_PER_S)))
    waiting = [(float(at), number, 0) for number, at in enumerate(starts) if at < SPAN_S]
    heapq.heapify(waiting)
    talks = [Conversation(SYSTEM_TOKENS, list(ids.system)) for _ in waiting]
    lines = []
    while waiting:
        at, number, turn = heapq.heappop(waiting)
        talk = talks[number]
        hash_ids = _ask(talk, _message(rng, turn == 0), ids)
        answer = _length(rng, 260, 0.8, 1, 2000)
        lines.append(
            {
                "timestamp": round(at * 1000),
                "input_length": talk.prompt_tokens,
                "output_length": answer,
                "hash_ids": hash_ids,
                "session": f"chat-{number}",
            }
        )
        talk.prompt_tokens += answer
        later = at + answer / ANSWER_TOKENS_PER_S + float(rng.exponential(PAUSE_S))
        if rng.random() < MORE_TURNS and later < SPAN_S and talk.prompt_tokens < MAX_PROMPT:
            heapq.heappush(waiting, (later, number, turn + 1))
    return lines


def text(seed: int = SEED) -> str:
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in requests(seed))


def write(path: Path, seed: int = SEED) -> None:
    """Write gzip without a time stamp, so that equal seeds give equal files."""
    path.write_bytes(gzip.compress(text(seed).encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE)
