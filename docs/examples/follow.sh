#!/bin/sh
# Follows the conversations of shard 0 with redis-cli alone, one event a line: type, session, data.
#   ./follow.sh [redis-cli options, such as -h HOST -p PORT]
stream='earshot:{0}:results'
# what is new, by Redis's clock in ms; `last=0` would begin with all that is kept
last=$(redis-cli "$@" --raw TIME | awk 'NR == 1 { s = $1 } NR == 2 { printf "%s%03d-0", s, $1 / 1000 }')
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
trap 'exit 0' INT TERM

while :; do
  redis-cli "$@" --raw XREAD COUNT 100 BLOCK 2000 STREAMS "$stream" "$last" > "$answer" || sleep 1
  # One text a line: the stream's name; then of each entry its id, and field and value in turn.
  awk 'NR == 1 { next }
       isvalue { value[name] = $0; isvalue = 0; if (name == "data") show(); next }
       /^[0-9]+-[0-9]+$/ { next }
       { name = $0; isvalue = 1 }
       function show() { print value["type"], value["session"], value["data"] }' "$answer"
  seen=$(awk 'NR == 1 { next } isvalue { isvalue = 0; next }
              /^[0-9]+-[0-9]+$/ { id = $0; next } { isvalue = 1 } END { print id }' "$answer")
  last=${seen:-$last}
done
