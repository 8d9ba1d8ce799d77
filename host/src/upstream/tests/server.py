"""A small MCP server written by hand, for what no well-behaved one does. Every call is noted in a file before it runs."""

import json
import os
import sys

MODERN = "--modern" in sys.argv
LOG = sys.argv[1]


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def result(request, text):
    # The members in the order the TypeScript SDK writes them.
    say('{"result":%s,"jsonrpc":"2.0","id":%s}' % (text, json.dumps(request["id"])))


def error(request, code, message):
    say(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}))


def handshake(request):
    if request["method"] == "server/discover" and MODERN:
        result(request, json.dumps({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "ttlMs": 0, "cacheScope": "private"}))
    elif request["method"] == "initialize" and not MODERN:
        result(request, json.dumps({
            "protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": True}},
            "serverInfo": {"name": "by hand", "version": "1"}}))
    else:
        error(request, -32601, "no such method")


def listing(request):
    if "cursor" in request["params"]:
        result(request, '{"tools":[{"name":"second","inputSchema":{"type":"object"}}]}')
    else:
        result(request, '{"tools":[{"name":"first","inputSchema":{"type":"object","maximum":1e400},"x-own":1.50,'
               '"annotations":{"readOnlyHint":true}}],"nextCursor":"a \\"quoted\\" one"}')


def call(request, line):
    name = request["params"]["name"]
    with open(LOG, "a") as log:
        log.write(line.strip() + "\n")
    if name == "die":
        os._exit(3)
    elif name == "refuse":
        error(request, -32601, "no such tool")
    elif name == "fail":
        error(request, -32603, "broken inside")
    elif name == "silent":
        pass
    elif name == "pid":
        result(request, '{"content":[],"pid":%d}' % os.getpid())
    elif name == "noise":
        say("this is no JSON")
        say("[" * 100000)
        say("x" * (17 * 1024 * 1024))
        say('{"jsonrpc":"2.0","id":1000000000,"result":{}}')
        say('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}')
        sys.stderr.write("e" * 100000 + "\n")
        sys.stderr.flush()
        result(request, '{"content":[]}')
    elif name == "huge":
        result(request, '{"content":[],"pad":"%s"}' % ("x" * (17 * 1024 * 1024)))
    elif name == "odd":
        result(request, '{"own":[1.10],"content":"not a list"}')
    elif name == "ask":
        say('{"jsonrpc":"2.0","id":"s1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}')
        answer = json.loads(sys.stdin.readline())
        result(request, json.dumps({"content": [], "answer": answer}))
    elif name == "input":
        result(request, '{"resultType":"input_required","inputRequests":{},"requestState":"x"}')
    else:
        text = line.split('"arguments":', 1)[1].split(',"_meta"', 1)[0]
        result(request, '{"content":[],"structuredContent":%s,"_meta":{"io.modelcontextprotocol/serverInfo":1}}' % text)


sys.stderr.write("ready\n")
for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "tools/call":
        call(message, line)
    elif message.get("method") == "tools/list":
        listing(message)
    elif "id" in message and "method" in message:
        handshake(message)
    elif message.get("method") == "notifications/cancelled":
        with open(LOG, "a") as log:
            log.write("cancelled\n")
