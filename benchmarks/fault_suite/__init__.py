"""The fault suite: a seeded schedule of jobs and faults, and an exact count of what came of it.

`schedule` says what will happen, `job` is what workers run (and the only witness of what really
ran), `proxy` and `faults` make trouble, `workers` keeps processes going, `run` ties them together,
`count` counts, `report` prints. `ours`, `celery` and `dramatiq` are who is tried.
"""
