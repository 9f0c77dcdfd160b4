"""greeter_server.py NAME PORT [NAME PORT]...: gRPC services in one process, each by its name.

test.Greeter: Greet answers with the name, as bytes; where the name begins with `failing` it is not available. Hold answers with it and stays open until the caller ends it. Fail ends
with the status whose number the caller sends, and the number of calls so far as its message.
"""
import sys
import threading
from concurrent import futures

import grpc

STATUSES = {status.value[0]: status for status in grpc.StatusCode}


def serve(name, port):
    calls, lock = [0], threading.Lock()

    def hold(request, context):
        ended = threading.Event()
        context.add_callback(ended.set)
        yield name.encode()
        ended.wait()

    def fail(request, context):
        with lock:
            calls[0] += 1
        context.abort(STATUSES[int(request)], str(calls[0]))

    def greet(request, context):
        if name.startswith("failing"):
            context.abort(grpc.StatusCode.UNAVAILABLE, "as always")
        return name.encode()

    handlers = {
        "Greet": grpc.unary_unary_rpc_method_handler(greet),
        "Hold": grpc.unary_stream_rpc_method_handler(hold),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
    }
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Greeter", handlers),))
    # Whoever else listens there is somebody else's: a port is not shared.
    assert server.add_insecure_port(f"127.0.0.1:{port}") == int(port)
    server.start()
    return server


servers = [serve(name, port) for name, port in zip(sys.argv[1::2], sys.argv[2::2])]
for server in servers:
    server.wait_for_termination()
