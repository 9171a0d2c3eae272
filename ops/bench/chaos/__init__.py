"""The chaos benchmark: it kills and freezes processes of earshot and cuts their connections, then
counts what became of every utterance.

`earshot bench` and the tests use it. Nothing of it runs in production.
"""
