"""A small network, its probe and its store, for the tests of stores."""

import sqlite3
from contextlib import closing

import torch
from torch import nn

from fastrenyi.table.columns import COLUMNS, table
from fastrenyi.table.files import read


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


def probe(seed=0, count=2):
    generator = torch.Generator().manual_seed(seed)
    return [
        (torch.randn(6, 1, 4, 4, generator=generator), torch.randint(3, (6,), generator=generator))
        for _ in range(count)
    ]


def settings_of(path):
    return read(path)[1]


def rows_of(step, count=1):
    return table([dict.fromkeys(COLUMNS, 0.5) | {"step": step, "batch": 0, "layer": "fc"}] * count)


def stored(path, query):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()
