"""Sweeps: a sweep file becomes points, points become stored results, stored results become one table.

`points` says what to run, `store` keeps what is finished, `runner` (one machine) and `cluster` (dask) run the
rest, `table` writes results.csv. A sweep that was killed goes on where it stopped: a point is finished when
its file exists, and files appear only whole.
"""
