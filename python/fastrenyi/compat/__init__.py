"""Other packages' functions by the names and arguments that they have there, computed here, and parts for their tools.

``fastrenyi.compat.vendi`` for the package vendi_score, ``fastrenyi.compat.repitl`` for representation-itl: change the
import and keep the code. Neither needs the package that it stands for. ``fastrenyi.compat.sklearn`` has estimators and
kernels for scikit-learn, ``fastrenyi.compat.torchmetrics`` metrics, ``fastrenyi.compat.torchlens`` what torchlens has
logged; each needs its tool. ``docs/drop-ins.md`` says where numbers differ.
"""
