"""The table that a ``fastrenyi.torch.Monitor`` measures: its columns, its store, what its rows say of the inequalities.

Needs pandas (a store pyarrow as well) and not torch, so that a report can be made of a table where no network runs.
"""
