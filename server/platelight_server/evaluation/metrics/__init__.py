"""What a relit clip is measured by: metrics as data (formula, region, direction, source), and gauges that take them.

Pure arrays but for `sources` (reading) and `sheet` (the report). Nothing here knows engines or jobs.
"""
