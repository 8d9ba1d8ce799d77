"""The MCP server of the PyPI package `mcp` over streamable HTTP, with one tool. Prints its port.

Usage: python_http.py modern|legacy. It speaks all revisions; with `legacy` it is kept from the newest.
"""

import socket
import sys

import uvicorn
from mcp.server import MCPServer

server = MCPServer("python")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two whole numbers."""
    return a + b


app = server.streamable_http_app()


async def legacy(scope, receive, send):
    if scope["type"] == "http" and (b"mcp-protocol-version", b"2026-07-28") in scope["headers"]:
        await send({"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"unsupported protocol version"})
    else:
        await app(scope, receive, send)


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
chosen = legacy if sys.argv[1] == "legacy" else app
uvicorn.Server(uvicorn.Config(chosen, log_level="warning", lifespan="on")).run(sockets=[listener])
