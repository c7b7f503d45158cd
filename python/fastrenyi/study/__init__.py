"""Studies of what the measures say: ``fastrenyi study``, ``python -m fastrenyi.study.widths`` and ``large``.

They train small networks on real data, and make tables. Need ``pip install 'fastrenyi[demo]'``.
"""
