"""Follows every conversation in Redis: pip install redis; python3 follow.py redis://127.0.0.1:6379/0

Begins with what is new, or behind the stream id given as a second argument (0: all that is kept).
"""

import json
import sys
import time

import redis

url, *since = sys.argv[1:]
client = redis.Redis.from_url(url, decode_responses=True)
seconds, micros = client.time()
begin = since[0] if since else f"{seconds * 1000 + micros // 1000}-0"
shards = int(client.get("earshot:shards") or 1)
cursors = {f"earshot:{{{n}}}:results": begin for n in range(shards)}  # Cluster: one XREAD a shard

while True:
    try:
        for stream, entries in client.xread(cursors, count=100, block=2_000) or []:
            for entry, event in entries:
                data = json.loads(event["data"])
                if event["type"] == "transcript":
                    print(f"{event['session']} said: {data['text']}", flush=True)
                elif event["type"] == "reply":
                    print(f"{event['session']} was told: {data['text']}", flush=True)
                elif event["type"] in ("skipped", "error"):
                    print(f"{event['session']}: {event['type']}, {data['reason']}", flush=True)
                cursors[stream] = entry  # done with: after a crash go on from here
    except (redis.ConnectionError, redis.TimeoutError):
        time.sleep(1)
