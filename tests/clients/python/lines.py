"""What the Python drivers share: the conversation with the test over standard input and output.

Usage of each driver: PORTCULLIS_KEY=… DRIVER TARGET modern|legacy

TARGET is a gate's URL, or a JSON list: the command of a server to speak to directly. The first line says
{"version", "tools": [definition…]}, or {"failed"} when there was no connection. From then on each line of input is a JSON list of
{"tool", "arguments", "key"?, "approval"?}, calls to make at once; the line that answers it is a list in the same order
of {"error", "structured", "text", "content", "meta"}, or {"failed"} where the client raised an error instead.
"""

import json
import os
import sys

import anyio


def headers():
    return {"Authorization": f"Bearer {os.environ['PORTCULLIS_KEY']}"}


def meta(call):
    given = {name: call[name] for name in ("key", "approval") if name in call}
    names = {"key": "dev.portcullis/idempotency-key", "approval": "dev.portcullis/approval"}
    return {names[name]: value for name, value in given.items()} or None


def plain(model):
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def answer(error, structured, content, meta):
    text = "".join(block.text for block in content if block.type == "text")
    blocks = [plain(block) for block in content]
    return {"error": bool(error), "structured": structured, "text": text, "content": blocks, "meta": meta}


def causes(error):
    """The errors themselves, not the groups that they come in."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(causes(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def say(value):
    print(json.dumps(value), flush=True)


async def converse(version, tools, make):
    """Says what is listed, then makes calls until the input ends."""

    async def one(answers, index, call):
        try:
            answers[index] = await make(call)
        except Exception as error:
            answers[index] = {"failed": causes(error)}

    say({"version": version, "tools": [plain(tool) for tool in tools]})
    while line := await anyio.to_thread.run_sync(sys.stdin.readline):
        calls = json.loads(line)
        answers = [None] * len(calls)
        async with anyio.create_task_group() as group:
            for index, call in enumerate(calls):
                group.start_soon(one, answers, index, call)
        say(answers)


def main(use):
    target, era = sys.argv[1:]
    command = json.loads(target) if target.startswith("[") else None
    try:
        anyio.run(use, target, command, era)
    except Exception as error:
        say({"failed": causes(error)})
