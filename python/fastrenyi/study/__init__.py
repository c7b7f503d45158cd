"""Studies of what the measures say: ``python -m fastrenyi.study.widths`` and the like, each of them a table.

They train small networks on real data. Need ``pip install 'fastrenyi[demo]'``.
"""
