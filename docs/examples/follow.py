"""Follow every conversation in Redis: pip install redis; python3 follow.py redis://127.0.0.1:6379/0

Print new events, or all events after the stream id in the second argument (0: all that are kept).
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
                cursors[stream] = entry  # go on from here after Redis was away
    except (redis.ConnectionError, redis.TimeoutError):
        time.sleep(1)
