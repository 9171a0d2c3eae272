"""Work that may take long and may wait, as RQ jobs.

It lies here and not in `workers`, because recordings are cut by the producer's segmenter, which
`workers` may not import; `docs/jobs.md` says why the hot path is streams and this is RQ.
"""
