"""An MCP server over streamable HTTP whose tools misbehave on demand. Python's standard library only.

Usage: odd_http_server.py FOLDER legacy|modern [json|events] [tls CERTIFICATE KEY]. Prints its port. In FOLDER, each
tool that begins is first written to `executed.jsonl`, a JSON object a line: {"tool", "arguments"}, with the arguments'
exact text; and each request to `requests.jsonl`: {"verb", "path", "method", "headers"}.
"""

import json
import os
import secrets
import socket
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FOLDER, ERA = sys.argv[1], sys.argv[2]
EVENTS = "events" in sys.argv[3:]
LOCK = threading.Lock()
SESSIONS = set()
MODERN = "2026-07-28"
TOOLS = ["echo", "drop", "half", "status", "html", "garbage", "silent", "endless", "huge", "huge-events", "ended-events",
         "error", "error-404", "others", "forget", "redirect", "other-id", "both"]
MARKED = {"type": "object", "properties": {"region": {"type": "string", "x-mcp-header": "Region"}}}


def note(file, entry):
    with LOCK:
        file = os.open(os.path.join(FOLDER, file), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(file, (json.dumps(entry) + "\n").encode())
        os.close(file)


def tools():
    listed = [{"name": name, "inputSchema": {"type": "object"}} for name in TOOLS]
    listed.append({"name": "here", "inputSchema": MARKED})
    path = os.path.join(FOLDER, "more-tools")
    if os.path.exists(path):
        listed += [{"name": name, "inputSchema": {"type": "object"}} for name in open(path).read().split()]
    return listed


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def reply(self, status, kind, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if kind:
            self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def message(self, text, status=200, headers=()):
        if EVENTS:
            return self.reply(status, "text/event-stream; charset=utf-8", f": hello\r\n\r\nevent: message\ndata: {text}\n\n".encode(), headers)
        self.reply(status, "application/json", text.encode(), headers)

    def result(self, id, text, headers=()):
        self.message('{"jsonrpc":"2.0","id":%s,"result":%s}' % (json.dumps(id), text), headers=headers)

    def error(self, id, status, code, message):
        body = json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
        self.reply(status, "application/json", body.encode())

    def stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def read(self):
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = json.loads(raw) if raw else {}
        note("requests.jsonl", {"verb": self.command, "path": self.path, "method": body.get("method"),
                                "headers": {name.lower(): value for name, value in self.headers.items()}})
        return raw.decode(), body

    def do_DELETE(self):
        self.read()
        SESSIONS.discard(self.headers.get("Mcp-Session-Id"))
        self.reply(204, None, b"")

    def do_GET(self):
        self.read()
        self.reply(405, None, b"")

    def do_POST(self):
        raw, body = self.read()
        id, method = body.get("id"), body.get("method")
        token = os.environ.get("ODD_TOKEN")
        if token and self.headers.get("Authorization") != f"Bearer {token}":
            return self.reply(401, "text/plain", b"who are you?")
        if ERA == "modern":
            problem = self.modern(body)
            if problem:
                return self.error(id, 400, -32020, problem)
            if method == "server/discover":
                return self.result(id, json.dumps({
                    "resultType": "complete", "supportedVersions": [MODERN], "capabilities": {"tools": {}},
                    "ttlMs": 0, "cacheScope": "private"}))
        else:
            if method == "initialize":
                session = secrets.token_hex(16)
                SESSIONS.add(session)
                return self.result(id, json.dumps({
                    "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                    "serverInfo": {"name": "odd", "version": "1"}}), [("Mcp-Session-Id", session)])
            session = self.headers.get("Mcp-Session-Id")
            if session is None:
                return self.error(None, 400, -32000, "no session")
            if session not in SESSIONS:
                return self.error(None, 404, -32001, "no such session")
            if self.headers.get("MCP-Protocol-Version") != "2025-11-25":
                return self.error(None, 400, -32000, "which version?")
        if id is None:
            return self.reply(202, None, b"")
        if method == "tools/list":
            return self.result(id, json.dumps({"tools": tools()}))
        if method == "tools/call":
            return self.call(id, body["params"]["name"], raw)
        self.error(id, 404 if ERA == "modern" else 200, -32601, "no such method")

    def modern(self, body):
        method, params = body.get("method"), body.get("params", {})
        meta = params.get("_meta", {})
        if self.headers.get("MCP-Protocol-Version") != MODERN or self.headers.get("Mcp-Method") != method:
            return "the headers are not the body's"
        if meta.get("io.modelcontextprotocol/protocolVersion") != MODERN:
            return "no version"
        if "io.modelcontextprotocol/clientCapabilities" not in meta:
            return "no capabilities"
        if method == "tools/call":
            if self.headers.get("Mcp-Name") != params["name"]:
                return "the name is not the body's"
            if params["name"] == "here" and self.headers.get("Mcp-Param-Region") != params["arguments"]["region"]:
                return "the region is not the body's"
        return None

    def call(self, id, tool, raw):
        text = raw.split('"arguments":', 1)[1].rsplit(',"_meta"', 1)[0]
        arguments = json.loads(text)
        note("executed.jsonl", {"tool": tool, "arguments": text})
        done = '{"content":[],"structuredContent":%s}' % text
        if tool == "drop":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif tool == "half":
            self.close_connection = True
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\":")
        elif tool == "status":
            self.reply(int(arguments["code"]), arguments.get("kind", "text/plain"), arguments.get("body", "").encode())
        elif tool == "html":
            self.reply(200, "text/html", b"<html><body>It works!</body></html>")
        elif tool == "garbage":
            self.reply(200, "application/json", b"this is no message")
        elif tool == "silent":
            time.sleep(1000)
        elif tool == "endless":
            self.stream()
            while True:
                self.wfile.write(b": still here\n\n")
                time.sleep(0.001)
        elif tool == "huge":
            pad = "x" * (17 * 1024 * 1024)
            self.reply(200, "application/json", ('{"jsonrpc":"2.0","id":%d,"result":{"content":[],"pad":"%s"}}' % (id, pad)).encode())
        elif tool == "huge-events":
            self.stream()
            while True:
                self.wfile.write(b"data: " + b"x" * 1024 * 1024 + b"\n")
        elif tool == "ended-events":
            self.stream()
            self.wfile.write(b"id: 7\ndata: {}\n\n")
        elif tool == "error":
            self.error(id, 200, int(arguments["code"]), "as you wish")
        elif tool == "error-404":
            self.error(id, 404, -32601, "no such tool")
        elif tool == "others":
            self.stream()
            ask = {"jsonrpc": "2.0", "id": id, "method": "sampling/createMessage", "params": {"messages": [], "maxTokens": 1}}
            for other in (ask, {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}},
                          {"jsonrpc": "2.0", "id": id + 1, "result": {"content": [], "structuredContent": {"wrong": True}}},
                          {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "wrong"}}):
                self.wfile.write(f"data: {json.dumps(other)}\n\n".encode())
            self.wfile.write(b'data: {"jsonrpc":"2.0","id":%d,\r\ndata: "result":%s}\r\n\r\n' % (id, done.encode()))
        elif tool == "other-id":
            self.reply(200, "application/json", b'{"jsonrpc":"2.0","id":%d,"result":{"content":[]}}' % (id + 1))
        elif tool == "both":
            self.reply(200, "application/json", b'{"jsonrpc":"2.0","id":%d,"result":{"content":[]},"result":{"content":[1]}}' % id)
        elif tool == "forget":
            SESSIONS.clear()
            self.error(None, 404, -32001, "no such session")
        elif tool == "redirect":
            self.reply(307, "text/plain", b"", [("Location", "/elsewhere")])
        else:
            self.result(id, done)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients leave when they have had enough."""


server = Server(("127.0.0.1", 0), Handler)
if "tls" in sys.argv:
    at = sys.argv.index("tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[at + 1], sys.argv[at + 2])
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(server.server_address[1], flush=True)
server.serve_forever()
