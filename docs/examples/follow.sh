#!/bin/sh
# Follow the conversations of shard 0 with redis-cli alone. One event per line: type, session, data.
#   ./follow.sh [redis-cli options, such as -h HOST -p PORT]
stream='earshot:{0}:results'
# begin with new events: the time of Redis in ms; `last=0` would begin with all that are kept
last=$(redis-cli "$@" --raw TIME | awk 'NR == 1 { s = $1 } NR == 2 { printf "%s%03d-0", s, $1 / 1000 }')
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
trap 'exit 0' INT TERM

while :; do
  redis-cli "$@" --raw XREAD COUNT 100 BLOCK 2000 STREAMS "$stream" "$last" > "$answer" || sleep 1
  # The answer has one text per line: the stream's name; then, for each entry, its id, its fields and values.
  awk 'NR == 1 { next }
       isvalue { value[name] = $0; isvalue = 0; if (name == "data") show(); next }
       /^[0-9]+-[0-9]+$/ { next }
       { name = $0; isvalue = 1 }
       function show() { print value["type"], value["session"], value["data"] }' "$answer"
  seen=$(awk 'NR == 1 { next } isvalue { isvalue = 0; next }
              /^[0-9]+-[0-9]+$/ { id = $0; next } { isvalue = 1 } END { print id }' "$answer")
  last=${seen:-$last}
done
