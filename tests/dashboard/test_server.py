"""How the server's connections are set up."""

from __future__ import annotations

import asyncio
import socket

from agents.dashboard.server import listening


async def test_no_answer_waits_for_the_acknowledgement_of_its_first_part() -> None:
    accepted = asyncio.get_running_loop().create_future()
    with listening("127.0.0.1", 0) as (sock, _):
        async with await asyncio.start_server(lambda _, writer: accepted.set_result(writer), sock=sock):
            _, mine = await asyncio.open_connection(*sock.getsockname())
            theirs: asyncio.StreamWriter = await accepted
            assert theirs.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for each in (mine, theirs):
                each.close()
                await each.wait_closed()
