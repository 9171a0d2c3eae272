"""The chaos driver: processes of earshot that are killed, frozen and cut off, and then counted.

It belongs to `earshot bench` and the tests; nothing of it runs in production.
"""
