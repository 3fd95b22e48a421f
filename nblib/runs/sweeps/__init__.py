"""Many settings of one lab: `settings` reads and combines them, `cluster` executes them, `table` gathers their numbers.

`sweep` is the command.
"""
