"""greeter_client.py TARGET COUNT: calls over one channel and prints each answer."""
import sys

import grpc

with grpc.insecure_channel(sys.argv[1]) as channel:
    greet = channel.unary_unary("/test.Greeter/Greet")
    for _ in range(int(sys.argv[2])):
        print(greet(b"", timeout=10, wait_for_ready=True).decode())
