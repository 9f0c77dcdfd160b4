"""xds_client.py: gRPC's own xDS, as an application uses it. Reads one JSON object a line, calls, and answers with a line.

{"target", "count", "metadata", "method", "body", "timeout"} -> {"answers": {text: count}, "errors": {"STATUS: details": count}}
{"connect": [target]} -> begins to connect to each, and does not wait.
{"target", "hold": N} -> opens N calls that stay open, once each has answered; {"release": N} ends N of them.
"""
import collections
import json
import sys
import time

import grpc

channels, held = {}, []


def channel(target):
    if target not in channels:
        channels[target] = grpc.insecure_channel(target)
    return channels[target]


def calls(ask):
    method = channel(ask["target"]).unary_unary(ask.get("method", "/test.Greeter/Greet"))
    answers, errors = collections.Counter(), collections.Counter()
    metadata = list(ask.get("metadata", {}).items())
    began = time.monotonic()
    for _ in range(ask.get("count", 1)):
        try:
            answers[method(ask.get("body", "").encode(), timeout=ask.get("timeout", 30), metadata=metadata).decode()] += 1
        except grpc.RpcError as error:
            errors[f"{error.code().name}: {error.details()}"] += 1
    return {"answers": answers, "errors": errors, "seconds": time.monotonic() - began}


def hold(ask):
    method = channel(ask["target"]).unary_stream("/test.Greeter/Hold")
    for _ in range(ask["hold"]):
        call = method(b"")
        next(call)
        held.append(call)
    return {"held": len(held)}


def release(ask):
    for _ in range(ask["release"]):
        held.pop().cancel()
    return {"held": len(held)}


def connect(ask):
    for target in ask["connect"]:
        channel(target).subscribe(lambda state: None, try_to_connect=True)
    return {"channels": len(channels)}


ACTIONS = {"connect": connect, "hold": hold, "release": release}
for line in sys.stdin:
    ask = json.loads(line)
    answer = next((action(ask) for name, action in ACTIONS.items() if name in ask), None) or calls(ask)
    print(json.dumps(answer), flush=True)
