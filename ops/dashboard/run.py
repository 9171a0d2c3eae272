"""One dashboard process: its connection, its feed, its server."""

import asyncio
from collections.abc import Callable
from contextlib import closing

from redis.exceptions import RedisClusterException, RedisError

from common.connection import sentence
from common.errors import RedisUnusable
from common.settings import Settings
from ops.dashboard.app import dashboard_app
from ops.dashboard.chronicle import Chronicle
from ops.dashboard.conversations import Conversations
from ops.dashboard.feed import Feed
from ops.dashboard.rates import Rates
from ops.dashboard.server import address, listen, serve, url_of
from ops.running import link_of, meet, opened


async def run(settings: Settings, stop: asyncio.Event, announce: Callable[[str], None]) -> None:
    """Serve until `stop`; `announce` is told the address once it can be opened.

    Raises BadSetting for an address that cannot be had, RedisUnusable when waiting for Redis
    cannot help.
    """
    options = settings.dashboard
    rates = Rates()
    with closing(listen(address(options), options.port)) as listener:
        async with opened(settings) as store:
            link = link_of(store, settings)
            chronicle = Chronicle(
                history_ms=round(1000 * options.history_s), max_turns=options.history_turns
            )
            feed = Feed(store, link, chronicle, history_s=options.history_s, note=rates.add)
            app = dashboard_app(
                [*Conversations(feed, store, link).routes()],
                token=options.token.get_secret_value(),
                port=listener.getsockname()[1],
            )

            async def follow() -> None:
                await meet(link, store, settings)
                await feed.run()

            following = asyncio.create_task(follow())
            serving = asyncio.create_task(serve(app, listener, stop, feed.close))
            announce(url_of(listener))
            try:
                await asyncio.wait({following, serving}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            except (RedisError, RedisClusterException) as error:
                raise RedisUnusable(sentence(error, settings.redis)) from error
            finally:
                stop.set()
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await serving
