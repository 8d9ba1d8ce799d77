"""An MCP server over standard input and output whose tools misbehave on demand. Python's standard library only.

Usage: odd_server.py LIST. Each tool that begins is first written to LIST, a JSON object a line:
{"tool", "arguments", "pid"}. Numbers in it are Python's: exact digits are the marketplace's to show. With `hold` among its
arguments any tool waits until the file `let-go` is there before it goes on.

When there is a file `tools.json`, its list of definitions is what is offered in the place of the usual one, and whenever it
changes the client is told so. A tool that only that file knows answers with its arguments.
"""

import json
import os
import sys
import threading
import time

LIST = sys.argv[1]
OUT = threading.Lock()
VERSIONS = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
MONEY = {
    "type": "object",
    "properties": {"amount": {"type": ["string", "number"]}, "currency": {"type": "string"}},
    "additionalProperties": True,
}
TOOLS = {
    "echo": "Answers with its arguments.",
    "hold": "Answers when the file `let-go` is there.",
    "die": "Ends the server in the middle of the call.",
    "fail": "Answers that it failed.",
    "error": "Answers with the JSON-RPC error `code` and what it is told to `say`.",
    "garbage": "Answers with a line that is no message.",
    "silent": "Never answers.",
}


DEFINITIONS = "tools.json"


def definitions():
    try:
        with open(DEFINITIONS) as file:
            return json.load(file)
    except FileNotFoundError:
        return [{"name": name, "description": text, "inputSchema": MONEY} for name, text in TOOLS.items()]


def tell_changes(last):
    while True:
        time.sleep(0.01)
        now = definitions()
        if now != last:
            last = now
            send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})


def send(message):
    with OUT:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def began(tool, arguments):
    entry = json.dumps({"tool": tool, "arguments": arguments, "pid": os.getpid()}) + "\n"
    file = os.open(LIST, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, entry.encode())
    os.close(file)


def call(id, params):
    tool, arguments = params["name"], params.get("arguments", {})
    if tool not in [definition["name"] for definition in definitions()]:
        return send({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": f"no tool {tool}"}})
    began(tool, arguments)
    if tool == "hold" or "hold" in arguments:
        while not os.path.exists("let-go"):
            time.sleep(0.01)
    if tool == "die":
        os._exit(1)
    elif tool == "silent":
        return None
    elif tool == "garbage":
        with OUT:
            sys.stdout.write("this is no message\n")
            sys.stdout.flush()
        return None
    elif tool == "error":
        error = {"code": int(arguments.get("code", -32000)), "message": str(arguments.get("say", "as you wish"))}
        return send({"jsonrpc": "2.0", "id": id, "error": error})
    result = {"content": [{"type": "text", "text": json.dumps(arguments)}], "isError": tool == "fail"}
    return send({"jsonrpc": "2.0", "id": id, "result": result})


def answer(message):
    id, method, params = message.get("id"), message.get("method"), message.get("params") or {}
    if id is None:
        return
    if method == "initialize":
        asked = params.get("protocolVersion")
        send({"jsonrpc": "2.0", "id": id, "result": {
            "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
            "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "odd", "version": "1"},
        }})
        threading.Thread(target=tell_changes, args=(definitions(),), daemon=True).start()
    elif method == "tools/list":
        send({"jsonrpc": "2.0", "id": id, "result": {"tools": definitions()}})
    elif method == "tools/call":
        threading.Thread(target=call, args=(id, params), daemon=True).start()
    elif method == "ping":
        send({"jsonrpc": "2.0", "id": id, "result": {}})
    else:
        send({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": f"no method {method}"}})


for line in sys.stdin:
    if line.strip():
        answer(json.loads(line))
