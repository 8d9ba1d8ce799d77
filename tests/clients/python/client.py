"""Drives a gate with the official Python client and says, as JSON, what came of it.

Usage: PORTCULLIS_KEY=… client.py URL modern|legacy CALLS

CALLS is a JSON list of {"tool", "arguments", "key"?}. The answer has the names of the listed tools, and for each call
{"error", "structured", "text", "meta"}; or "failed", when there was no connection.
"""

import asyncio
import json
import os
import sys

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

MODES = {"modern": "2026-07-28", "legacy": "legacy"}


async def use(url, mode, calls):
    headers = {"Authorization": f"Bearer {os.environ['PORTCULLIS_KEY']}"}
    async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode, cache=None) as client:
            tools = (await client.list_tools()).tools
            results = []
            for call in calls:
                meta = {"dev.portcullis/idempotency-key": call["key"]} if "key" in call else None
                result = await client.call_tool(call["tool"], call["arguments"], meta=meta)
                results.append({
                    "error": bool(result.is_error),
                    "structured": result.structured_content,
                    "text": "".join(block.text for block in result.content if block.type == "text"),
                    "meta": result.meta,
                })
            return {"tools": [tool.name for tool in tools], "results": results}


def causes(error):
    """The errors themselves, not the groups that they come in."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(causes(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def main():
    url, era, calls = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    try:
        said = asyncio.run(use(url, MODES[era], calls))
    except Exception as error:
        said = {"failed": causes(error)}
    print(json.dumps(said))


main()
