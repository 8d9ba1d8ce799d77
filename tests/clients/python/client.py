"""The official Python client, second generation: both eras. See lines.py for the conversation."""

import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

import lines

# Finds the modern era by itself, and meets a server of the other era where it is.
MODES = {"modern": "auto", "legacy": "legacy"}


async def use(url, command, era):
    async with httpx2.AsyncClient(headers=lines.headers(), timeout=60) as http:
        if command:
            target = StdioServerParameters(command=command[0], args=command[1:])
        else:
            target = streamable_http_client(url, http_client=http)
        async with Client(target, mode=MODES[era], cache=None) as client:

            async def make(call):
                result = await client.call_tool(call["tool"], call["arguments"], meta=lines.meta(call))
                return lines.answer(result.is_error, result.structured_content, result.content, result.meta)

            await lines.converse(client.protocol_version, (await client.list_tools()).tools, make)


lines.main(use)
