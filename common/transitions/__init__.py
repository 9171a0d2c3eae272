"""Every change of state in Redis: one Lua script each, and one typed function around it.

Nothing else writes those keys; `common/status` reads them. The scripts in `common/lua` document
keys and arguments. The signatures here are the contract for callers.
"""
