"""One dashboard process: its connection, its feed, its server."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Final

from redis.exceptions import RedisClusterException, RedisError
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from common.errors import RedisUnusable
from common.redis.failures import explain_failure
from common.redis.opening import make_link, open_store, wait_for_redis
from common.settings import Settings
from common.settings.loading import variable_of
from common.telemetry.monitoring import serve_monitoring
from ops.dashboard.app import dashboard_app
from ops.dashboard.routes.conversations import Conversations
from ops.dashboard.routes.letters import Letters
from ops.dashboard.routes.pipeline import Pipeline
from ops.dashboard.routes.sending import Sending
from ops.dashboard.server import choose_address, log_who_is_served, open_listener, page_url, serve
from ops.dashboard.state.chronicle import Chronicle
from ops.dashboard.state.feed import Feed
from ops.dashboard.state.rates import Rates
from ops.dashboard.visitors.admission import MAX_PLACES, Admission
from ops.dashboard.visitors.uploads import FOLDER, Uploads
from ops.dashboard.visitors.visitor_producers import VisitorProducers

SPARE_THREADS: Final = 8

COOKIE_KEY: Final = "dashboard.key"
"""The file with the key of the login cookies. It is beside the outboxes, to outlive a restart."""


def _make_app(
    routes: Sequence[BaseRoute], settings: Settings, listener: socket.socket
) -> Starlette:
    options = settings.dashboard
    return dashboard_app(
        routes,
        token=options.token.get_secret_value(),
        port=listener.getsockname()[1],
        key_file=settings.listen.outbox_folder() / COOKIE_KEY,
        origins=[origin for origin in options.origins.split(",") if origin],
    )


async def run(settings: Settings, stop: asyncio.Event, announce: Callable[[str], None]) -> None:
    """Serve until `stop`; call `announce` with the address when it can be opened.

    Raises BadSetting if the address cannot be used, RedisUnusable if waiting for Redis cannot help.
    """
    options = settings.dashboard
    rates = Rates()
    log_who_is_served(options)
    with (
        closing(open_listener(choose_address(options), options.port)) as listener,
        Uploads(settings.listen.outbox_folder() / FOLDER) as uploads,
    ):
        async with open_store(settings) as store:
            link = make_link(store, settings)
            chronicle = Chronicle(
                history_ms=round(1000 * options.history_s), max_turns=options.history_turns
            )
            feed = Feed(store, link, chronicle, history_s=options.history_s, note=rates.add)
            producers = VisitorProducers(
                store, link, settings, partial(wait_for_redis, link, store, settings)
            )
            admission = Admission(
                max_bytes=round(options.upload_max_mb * 2**20),
                limit=f"{options.upload_max_mb:g} MB, the limit in"
                f" {variable_of('dashboard.upload_max_mb')}",
                free=uploads.free,
            )
            routes = [
                *Conversations(feed, store, link).routes(),
                *Pipeline(store, link, feed, rates).routes(),
                *Letters(store, settings).routes(),
                *Sending(producers, admission, uploads).routes(),
            ]
            app = _make_app(routes, settings, listener)

            async def follow() -> None:
                await wait_for_redis(link, store, settings)
                await feed.run()

            # each source needs a thread to hear it, and another one to send its speech
            threads = ThreadPoolExecutor(
                2 * MAX_PLACES + SPARE_THREADS, thread_name_prefix="dashboard"
            )
            asyncio.get_running_loop().set_default_executor(threads)
            producers.start()
            following = asyncio.create_task(follow())
            serving = asyncio.create_task(serve(app, listener, stop, feed.close))
            announce(page_url(listener))

            async def explain_not_ready() -> str:
                return link.unreachable

            try:
                async with serve_monitoring(settings.metrics, ready=explain_not_ready):
                    await asyncio.wait({following, serving}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    following.result()
            except (RedisError, RedisClusterException) as error:
                raise RedisUnusable(explain_failure(error, settings.redis)) from error
            finally:
                stop.set()
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
                await serving
                await producers.close()
