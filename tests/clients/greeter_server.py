"""greeter_server.py NAME PORT: a gRPC service whose one method answers with the instance's name, as bytes."""
import sys
from concurrent import futures

import grpc

name, port = sys.argv[1].encode(), sys.argv[2]
greet = grpc.unary_unary_rpc_method_handler(lambda request, context: name)
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Greeter", {"Greet": greet}),))
server.add_insecure_port(f"127.0.0.1:{port}")
server.start()
server.wait_for_termination()
