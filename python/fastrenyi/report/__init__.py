"""Figures and an HTML page from the table of a :class:`fastrenyi.torch.Monitor`.

``run`` is what is known of a run beside its table, ``groups`` puts runs together, ``findings`` says in words what a
table shows, ``plots`` and ``chains`` draw it for paper, ``interactive`` for the page, and ``page`` puts everything on
one HTML page, ``methods`` too. The room needs ``pip install 'fastrenyi[report]'`` and not
torch; this file imports none of it, so that ``fastrenyi info`` stays quick.
"""
