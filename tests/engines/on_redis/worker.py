"""Workers in processes of their own: they send requests to a gateway as a limiter that they share lets them.

As the core does, one thread of a worker at a time asks for a lease. This process reads a task as a line of JSON, says that
it is ready, begins at the next line, prints the workers' process ids and then what came of each.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import warnings
from collections import Counter
from types import SimpleNamespace

import httpx

from openrouter_embeddings import BudgetExceededError
from openrouter_embeddings_engines.redis_limiter import RedisLimiter


class Worker:
    """Sends so many requests from so many threads.

    Args:
        task: `url` and `limits` of the limiter; `gateway`; `requests`; `threads`.
        name: Begins each text.
    """

    def __init__(self, task, name):
        self.task = task
        self.limiter = RedisLimiter(task["url"], **task["limits"])
        self.asking = threading.Lock()
        self.waiting = [f"{name} {number}" for number in range(task["requests"])]
        self.seen = Counter(landed=0, refused=0, asked=0, over=0)
        self.client = httpx.Client(
            base_url=task["gateway"], headers={"authorization": "Bearer k"}, timeout=30, trust_env=False,
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
        )  # fmt: skip

    def run(self):
        """Send everything, and return what came of it."""
        began = time.monotonic()
        threads = [threading.Thread(target=self.work) for _ in range(self.task["threads"])]
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return {
            **self.seen, "seconds": time.monotonic() - began, "cpu": time.process_time(),
            "warned": [str(warning.message) for warning in told],
        }  # fmt: skip

    def work(self):
        while (taken := self.lease()) is not None:
            lease, text = taken
            outcome = self.send(text)
            lease.release(outcome)
            self.seen[outcome.kind] += 1
            if outcome.kind != "landed":
                self.waiting.append(text)

    def lease(self):
        with self.asking:
            while self.waiting:
                self.seen["asked"] += 1
                try:
                    answer = self.limiter.acquire(1, 10)
                except BudgetExceededError:
                    self.seen["over"] += 1
                    return None
                if not isinstance(answer, float):
                    return answer, self.waiting.pop()
                time.sleep(answer)
        return None

    def send(self, text):
        answer = self.client.post("/embeddings", json={"model": "openai/text-embedding-3-small", "input": [text]})
        if answer.status_code == 200:
            return SimpleNamespace(kind="landed", cost=answer.json()["usage"]["cost"], retry_after=None)
        return SimpleNamespace(kind="refused", cost=None, retry_after=float(answer.headers["retry-after"]))


def main():
    task = json.loads(sys.stdin.readline())
    print("ready", flush=True)
    sys.stdin.readline()
    children = [begin(task, f"worker {number}") for number in range(task["workers"])]
    print(json.dumps(children), flush=True)
    for child in children:
        os.waitpid(child, 0)


def begin(task, name):
    """Fork a worker, and return its process id."""
    if child := os.fork():
        return child
    line = json.dumps(Worker(task, name).run()) + "\n"
    os.write(sys.stdout.fileno(), line.encode())  # in one piece: others write there too
    os._exit(0)


if __name__ == "__main__":
    main()
