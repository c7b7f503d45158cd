"""Other packages' functions by the names and arguments that they have there, computed here.

``fastrenyi.compat.vendi`` for the package vendi_score, ``fastrenyi.compat.repitl`` for representation-itl: change the
import and keep the code. Neither needs the package that it stands for. ``docs/drop-ins.md`` says where numbers differ.
"""
