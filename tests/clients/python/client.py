"""The official Python client, second generation: both eras. See lines.py for the conversation."""

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

import lines

MODES = {"modern": "2026-07-28", "legacy": "legacy"}


async def use(url, command, era):
    async with httpx2.AsyncClient(headers=lines.headers(), timeout=60) as http:
        if command:
            # A server of the other era is met where it is.
            target, mode = StdioServerParameters(command=command[0], args=command[1:]), "auto"
        else:
            target, mode = streamable_http_client(url, http_client=http), MODES[era]
        async with Client(target, mode=mode, cache=None) as client:

            async def make(call):
                result = await client.call_tool(call["tool"], call["arguments"], meta=lines.meta(call))
                return lines.answer(result.is_error, result.structured_content, result.content, result.meta)

            await lines.converse((await client.list_tools()).tools, make)


lines.main(use)
