"""Background jobs, run by RQ: work that may take long and may wait.

It is not part of `workers`, because the producer's segmenter cuts recordings, and `workers` may not
import the producer. `docs/jobs.md` says why live speech uses streams and jobs use RQ.
"""
