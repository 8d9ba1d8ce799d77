"""The official Python client, first generation: the legacy era. See lines.py for the conversation."""

from contextlib import AsyncExitStack

import httpx
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client

import lines


async def use(url, command, era):
    assert era == "legacy"
    async with AsyncExitStack() as stack:
        if command:
            transport = stdio_client(StdioServerParameters(command=command[0], args=command[1:]))
        else:
            http = await stack.enter_async_context(httpx.AsyncClient(headers=lines.headers(), timeout=60))
            transport = streamable_http_client(url, http_client=http)
        read, write, *_ = await stack.enter_async_context(transport)
        session = await stack.enter_async_context(ClientSession(read, write))
        version = (await session.initialize()).protocolVersion

        async def make(call):
            result = await session.call_tool(call["tool"], call["arguments"], meta=lines.meta(call))
            return lines.answer(result.isError, result.structuredContent, result.content, result.meta)

        await lines.converse(version, (await session.list_tools()).tools, make)


lines.main(use)
