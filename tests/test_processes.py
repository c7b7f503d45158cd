"""Monitor in a training of two processes: data parallel, the first measures; sharded, it refuses at once."""

import faulthandler
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
import torch.distributed as dist  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402

pytestmark = [
    pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="needs gloo"),
    pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning"),
]

SHARDS = not torch.__version__.startswith("2.6.")  # whose fully_shard wants streams, which the CPU has not


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def minibatch(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(12, 1, 6, 6, generator=generator), torch.arange(12) % 3


def working(rank, folder):
    """What one of two processes does: three trainings."""
    faulthandler.dump_traceback_later(300, exit=True)  # a process that waits for the other one for ever
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    told = {
        "measured": trained(rank, nn.parallel.DistributedDataParallel(network())),
        "unmeasured": trained(rank, nn.parallel.DistributedDataParallel(network()), measuring=False),
    }
    if SHARDS:
        told["sharded"] = trained(rank, sharded(network()))
    if rank == 0:
        (folder / "told.json").write_text(json.dumps(told))
    dist.barrier()  # neither leaves while the other one may still wait for it
    dist.destroy_process_group()
    faulthandler.cancel_dump_traceback_later()


def trained(rank, model, measuring=True):
    """Three steps of a training: what the first process measured in each, or was told, and the weights afterwards."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    told: dict = {"errors": [], "numbers": []}
    x, y = minibatch(rank)
    for step in range(3):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        if rank == 0 and measuring:
            try:
                rows = frt.Monitor(model, [minibatch(9)], null=2).measure(step)
                told["numbers"].append(rows[["mi_input", "mi_target", "mi_error"]].to_numpy().tolist())
            except TypeError as error:
                told["errors"].append(str(error))
        optimizer.step()
    told["weights"] = [p.detach().flatten().tolist() for p in model.parameters() if type(p) is nn.Parameter]
    return told


def sharded(net):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (2,))
    fully_shard(net[4], mesh=mesh)
    return fully_shard(net, mesh=mesh)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(working, (folder,), nprocs=2)
    return json.loads((folder / "told.json").read_text())


def test_data_parallel_the_first_process_measures(told):
    measured, unmeasured = told["measured"], told["unmeasured"]
    assert measured["errors"] == []
    assert measured["weights"] == unmeasured["weights"] != []
    # The first step measures weights as they were made; statistics of the batch norm have seen one minibatch.
    net = network()
    net(minibatch(0)[0])
    expected = frt.Monitor(net, [minibatch(9)], null=2).measure(0)[["mi_input", "mi_target", "mi_error"]]
    found = np.array(measured["numbers"])
    assert found.shape == (3, 2, 3)
    np.testing.assert_allclose(found[0], expected.to_numpy(), rtol=0, atol=1e-5)


@pytest.mark.skipif(not SHARDS, reason="PyTorch 2.6 shards nothing on the CPU")
def test_sharded_is_refused_at_once(told):
    errors = told["sharded"]["errors"]
    assert len(errors) == 3
    for error in errors:
        assert error.startswith("model: expected one that this process holds whole, got one that is sharded over 2 ")
        assert "get_model_state_dict" in error
