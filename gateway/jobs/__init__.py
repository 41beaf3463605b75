"""Background work: RQ carries the call, SQL holds the truth.

bell enqueues, scheduler ticks, worker runs. What is due, tried, leased, given up and recurring stands in the
tables jobs, schedules and inbox_messages; a Redis that forgets everything costs latency until the next tick.
"""
