#!/usr/bin/env python3
"""A plain HTTP client with a hard-coded URL, as applications have them: no load balancing, no retries, no mesh.

    caller.py URL REQUESTS_PER_SECOND

Every 100 ms it prints one line of JSON: from when to when, how many answers each instance gave meanwhile, and what
failed. It ends when its standard input does. `http_proxy` is honoured, as by most clients.
"""
import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter

url, rate = sys.argv[1], float(sys.argv[2])
CLIENTS = 8
counts, failures, lock = Counter(), Counter(), threading.Lock()
ended = threading.Event()


def ask():
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode().strip(), None
    except urllib.error.HTTPError as error:
        return None, str(error.code)
    except OSError as error:
        return None, type(getattr(error, "reason", error)).__name__


def client(number):
    due = time.monotonic() + number / rate
    while not ended.is_set():
        time.sleep(max(0.0, due - time.monotonic()))
        due = max(due + CLIENTS / rate, time.monotonic() - 0.1)
        instance, failure = ask()
        with lock:
            if failure is None:
                counts[instance] += 1
            else:
                failures[failure] += 1


def report():
    now = time.monotonic()
    while not ended.wait(0.1):
        with lock:
            begin, now = now, time.monotonic()
            line = {"from": begin, "at": now, "answered": dict(counts), "failed": dict(failures)}
            counts.clear()
            failures.clear()
        print(json.dumps(line), flush=True)


for number in range(CLIENTS):
    threading.Thread(target=client, args=(number,), daemon=True).start()
threading.Thread(target=report, daemon=True).start()
sys.stdin.read()
ended.set()
