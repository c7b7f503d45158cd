"""A fuzzer, ``make fuzz``: random calls whose answers are known, and calls that are wrong.

``numbers`` compares results with intervals that ``exact`` finds in long double, over samples that ``cases`` draws and
``layouts`` lays out in memory; ``sweep`` gives arguments values of every kind. A call is the seed it is drawn from and
its place in that run, so that ``python -m fuzz --case numbers:SEED:PLACE`` makes it again with the same sources.
"""
