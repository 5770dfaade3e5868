"""Refreshes within the day: the source is watched, and a refresh begins when it has been quiet for a while.

`waiting` says when, as a function of times; `source` what there is; `hints` that something may have changed; `watcher`
brings them together; `runs` has Prefect begin a refresh and tells how it ended. What a refresh does is no matter here.
"""
