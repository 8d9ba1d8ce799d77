"""Drives a server over standard input and output with the official Python client and says, as JSON, what came of it.

Usage: stdio.py modern|legacy|auto CALLS COMMAND…

CALLS is a JSON list of {"tool", "arguments", "key"?}; all are made at once. The answer has the names of the listed tools,
and for each call {"error", "structured"}; or "failed", when there was no connection. PORTCULLIS_KEY is passed on.
"""

import asyncio
import json
import os
import sys

from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

MODES = {"modern": "2026-07-28", "legacy": "legacy", "auto": "auto"}


async def use(mode, calls, command):
    env = {"PORTCULLIS_KEY": os.environ["PORTCULLIS_KEY"]}
    server = StdioServerParameters(command=command[0], args=command[1:], env=env)
    async with Client(stdio_client(server), mode=mode, cache=None) as client:
        tools = (await client.list_tools()).tools

        async def make(call):
            meta = {"dev.portcullis/idempotency-key": call["key"]} if "key" in call else None
            result = await client.call_tool(call["tool"], call["arguments"], meta=meta)
            return {"error": bool(result.is_error), "structured": result.structured_content}

        results = await asyncio.gather(*(make(call) for call in calls))
        return {"tools": [tool.name for tool in tools], "results": results}


def causes(error):
    """The errors themselves, not the groups that they come in."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(causes(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def main():
    era, calls, command = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3:]
    try:
        said = asyncio.run(use(MODES[era], calls, command))
    except Exception as error:
        said = {"failed": causes(error)}
    print(json.dumps(said))


main()
