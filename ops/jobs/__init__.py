"""Background jobs, which RQ runs: work that may wait, and may take long.

They are not in `workers`, which may not import the producer: its segmenter cuts recordings.
`docs/jobs.md` says why live speech uses streams, and jobs use RQ.
"""
