"""What `bench` times: one suite a module, its cases and their two sides.

A suite has `run(smoke)`, which yields rows: dicts with the `case` in words,
the `sides` (from a name to its timing as plain data), the `ratios` (from
words to a number) and `facts` (from words to plain data).
"""
