"""Figures and an HTML page from the table of a :class:`fastrenyi.torch.Monitor`.

``run`` is what is known of a run beside its table, ``findings`` says in words what the table shows, ``plots``
draws it and ``page`` puts everything on one HTML page. The room needs ``pip install 'fastrenyi[report]'`` and not
torch; this file imports none of it, so that ``fastrenyi info`` stays quick.
"""
