"""Monitor: each argument wrong in turn."""

import copy
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pandas")
from torch import nn  # noqa: E402

import fastrenyi as fr  # noqa: E402
import fastrenyi.torch as frt  # noqa: E402
from conftest import run_python  # noqa: E402
from networks import N, net, probes  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*the entropy is:UserWarning", "ignore:label_kernel:UserWarning")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


X, Y = torch.zeros(4, 1, 6, 6), torch.zeros(4, dtype=torch.int64)


@pytest.mark.parametrize(
    ("probe", "error", "words"),
    [
        ([], ValueError, r"^probe: .*at least one"),
        (X, TypeError, r"^probe: .*list"),
        (iter([]), ValueError, r"^probe: .*at least one"),
        ({"x": X}, TypeError, r"^probe: .*list.*dict; pass \[\(x, y\)\]"),
        ((X, Y), TypeError, r"^probe\[0\]: .*pair.*probe=\[\(x, y\)\]"),
        ([(X, Y), (X,)], TypeError, r"^probe\[1\]: .*pair.*1 items"),
        ([(X, Y, Y)], TypeError, r"^probe\[0\]: .*3 items.*several inputs are \(\(a, b\), y\)"),
        ([([0.0, 1.0], Y)], TypeError, r"^probe\[0\]: x: .*tensor or NumPy array.*list without any"),
        ([(None, Y)], TypeError, r"^probe\[0\]: x: .*tensor or NumPy array.*NoneType"),
        ([({}, Y)], TypeError, r"^probe\[0\]: x: .*dict without any"),
        ([(X, [0, 1, 2, 3])], TypeError, r"^probe\[0\]: y: .*tensor.*list"),
        ([(X, Y.numpy().astype(str))], TypeError, r"^probe\[0\]: y: .*numbers.*<U"),
        ([(X, Y), (X, None)], ValueError, r"^probe\[1\]: y: .*in all minibatches, or in none"),
        ([(X.byte(), Y)], TypeError, r"^probe\[0\]: x: .*real.*tokens.*uint8.*input=lambda x: x\.float\(\)"),
        ([(torch.zeros(6, 4), Y)], ValueError, r"^probe\[0\]: y: .*6 samples.*\(4,\); pass batch_dim=1"),
        ([(X[:1], Y[:1])], ValueError, r"^probe\[0\]: x: .*two samples"),
        ([(torch.tensor(1.0), Y)], ValueError, r"^probe\[0\]: x: .*two samples"),
        ([(X, Y), (X, Y[:3])], ValueError, r"^probe\[1\]: y: .*4 samples.*\(3,\)"),
        ([(X, torch.tensor(1))], ValueError, r"^probe\[0\]: y: .*4 samples"),
        ([(X, Y.to("meta"))], TypeError, r"^probe\[0\]: y: .*cpu.*meta"),
        ([(X * float("nan"), Y)], ValueError, r"^probe\[0\]: x: .*finite.*nan at index"),
        ([(X, Y / 0.0)], ValueError, r"^probe\[0\]: y: .*finite.*nan at index"),
    ],
)
def test_wrong_probe(probe, error, words):
    with pytest.raises(error, match=words):
        frt.Monitor(net(), probe)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"layers": "conv9"}, ValueError, r"^layers: .*'conv1'.*'conv9'"),
        ({"layers": 3}, TypeError, r"^layers: "),
        ({"store": 3}, TypeError, r"^store: .*path.*int"),
        ({"store": ""}, ValueError, r"^store: .*path"),
        ({"alpha": -1}, ValueError, r"^alpha: "),
        ({"alpha": "1"}, TypeError, r"^alpha: "),
        ({"alpha": []}, ValueError, r"^alpha: expected at least one order"),
        ({"alpha": [1.01, "2"]}, TypeError, r"^alpha: "),
        ({"alpha": [2, 1.01, 2.0]}, ValueError, r"^alpha: expected orders that are different, got 2.0, 1.01, 2.0"),
        ({"progress": 1}, TypeError, r"^progress: expected True or False"),
        ({"existing": "append"}, ValueError, r"^existing: expected 'error', 'skip' or 'replace', got 'append'"),
        ({"existing": None}, TypeError, r"^existing: "),
        ({"on_nan": "ignore"}, ValueError, r"^on_nan: expected 'error' or 'record', got 'ignore'"),
        ({"on_nan": True}, TypeError, r"^on_nan: "),
        ({"max_pairs": 0}, ValueError, r"^max_pairs: expected an integer of at least 1"),
        ({"max_pairs": 10.0}, TypeError, r"^max_pairs: expected an integer"),
        ({"bandwidth": -1}, ValueError, r"^bandwidth: .*above zero"),
        ({"bandwidth": "narrow"}, ValueError, r"^bandwidth: expected one of"),
        ({"bandwidth": torch.ones(3)}, TypeError, r"^bandwidth: .*one width.*Tensor"),
        ({"error_bandwidth": 0}, ValueError, r"^error_bandwidth: expected a finite number"),
        ({"error_bandwidth": [1.0]}, TypeError, r"^error_bandwidth: "),
        ({"kernel": "square"}, ValueError, r"^kernel: expected one of"),
        ({"kernel": 3}, TypeError, r"^kernel: "),
        ({"kernel": "cosine"}, ValueError, r"^bandwidth: expected None.*pass bandwidth=None"),
        ({"kernel": "cosine", "bandwidth": None}, ValueError, r"^error_bandwidth: expected None"),
        ({"kernel": fr.Gaussian(2.0)}, ValueError, r"^bandwidth: expected None.*Gaussian"),
        ({"label_kernel": "square"}, ValueError, r"^label_kernel: expected one of"),
        ({"input": 1.0}, TypeError, r"^input: .*index, a key or a function.*float"),
        ({"input": "tokens"}, ValueError, r"^input: .*part of what is there, one tensor, got 'tokens'"),
        ({"input": lambda x: 3}, TypeError, r"^input: .*tensor.*int"),
        ({"output": []}, TypeError, r"^output: .*list"),
        ({"select": ["conv1"]}, TypeError, r"^select: .*dict.*list"),
        ({"select": {"conv9": 0}}, ValueError, r"^select: .*'conv1'.*'conv9'"),
        ({"select": {"conv1": 0.5}}, TypeError, r"^select: .*0\.5 for 'conv1'"),
        ({"batch_dim": -1}, ValueError, r"^batch_dim: "),
        ({"channel_dim": "last"}, TypeError, r"^channel_dim: "),
        ({"channel_dim": {"conv9": 1}}, ValueError, r"^channel_dim: .*'conv1'.*'conv9'"),
        ({"pairs": 1}, TypeError, r"^pairs: .*True or False"),
        ({"errors": None}, TypeError, r"^errors: .*True or False"),
        ({"loss": "mse"}, TypeError, r"^loss: .*function.*str"),
    ],
)
def test_wrong_options(options, error, words):
    with pytest.raises(error, match=words):
        frt.Monitor(net(), probes(), **options)


def test_wrong_model():
    with pytest.raises(TypeError, match=r"^model: .*Module.*function"):
        frt.Monitor(net, probes())


@pytest.mark.parametrize(
    ("step", "error"), [(-1, ValueError), (1.0, TypeError), (True, TypeError), ("1", TypeError), (None, TypeError)]
)
def test_wrong_steps(step, error):
    monitor = frt.Monitor(net(), probes(1))
    with pytest.raises(error, match=r"^step: "):
        monitor.measure(step)


def test_a_step_is_measured_once():
    monitor = frt.Monitor(net(), probes(1))
    monitor.measure(3)
    with pytest.raises(ValueError, match=r"^step: .*not in the table yet, got 3"):
        monitor.measure(3)
    assert len(monitor.frame()) == 4


def test_an_error_that_is_not_finite_names_the_layer():
    def infinite(output, y):
        return (output * float("inf")).sum()

    monitor = frt.Monitor(net(), probes(1), loss=infinite)
    with pytest.raises(ValueError, match=r"^error of layer 'fc2', step 0, probe\[0\]: error: expected finite.*on_nan"):
        monitor.measure(0)


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda output, y: 3.0, TypeError, r"loss: .*scalar tensor.*float"),
        (lambda output, y: output, ValueError, r"loss: .*scalar.*\(12, 3\).*sum"),
        (lambda output, y: output.detach().sum(), ValueError, r"loss: .*differentiable"),
    ],
)
def test_wrong_losses(loss, error, words):
    with pytest.raises(error, match=r"^step 0, probe\[0\]: " + words):
        frt.Monitor(net(), probes(1), loss=loss).measure(0)


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (torch.full((N,), 3), ValueError, r"probe: .*labels from 0 to 2, got 3 to 3"),
        (torch.full((N,), -1), ValueError, r"probe: .*labels from 0 to 2, got -1 to -1"),
        # would broadcast to (n, n) or (n, 3)
        (torch.zeros(N, 1), ValueError, r"probe: .*\(12, 3\), got \(12, 1\)"),
        (torch.full((N, 3), 2), ValueError, r"probe: .*zeros and ones.*\(12, 3\), got 2 to 2"),
        (torch.zeros(N, 5, dtype=torch.int64), ValueError, r"loss: .*\(n, classes\).*\(12, 3\) for y of .*\(12, 5\)"),
    ],
)
def test_targets_that_do_not_fit_the_output(y, error, words):
    with pytest.raises(error, match=words):
        frt.Monitor(net(), [(probes(1)[0][0], y)]).measure(0)


def test_outputs_that_the_default_loss_cannot_take():
    x, y = torch.randn(N, 4), torch.randint(2, (N,))

    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x):
            return self.a(x), x

    with pytest.raises(TypeError, match=r"loss: .*function.*tuple"):
        frt.Monitor(Pair(), [(x, y)]).measure(0)
    frt.Monitor(Pair(), [(x, y)], errors=False).measure(0)
    with pytest.raises(ValueError, match=r"loss: .*\(n, classes\).*\(48,\)"):
        frt.Monitor(nn.Sequential(nn.Linear(4, 4), nn.Flatten(0)), [(x, y)]).measure(0)
    with pytest.raises(ValueError, match=r"output: .*\[0\], \[1\], got 'logits'"):
        frt.Monitor(Pair(), [(x, y)], output="logits").measure(0)


def test_outputs_of_other_than_the_samples():
    class Summed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x):
            return self.a(x.sum(0, keepdim=True)).expand(len(x), 2)

    with pytest.raises(ValueError, match=r"layers: .*12 samples, got shape \(1, 2\) from 'a'"):
        frt.Monitor(Summed(), [(torch.randn(N, 4), torch.randint(2, (N,)))]).measure(0)


def test_probe_on_another_device():
    monitor = frt.Monitor(net().to("meta"), probes(1))
    with pytest.raises(TypeError, match=r"probe: .*model's device, meta, got cpu"):
        monitor.measure(0)


def test_probe_on_a_device_that_is_not_served():
    x, y = (tensor.to("meta") for tensor in probes(1)[0])
    words = r"^probe\[0\]: y: expected an array on a device that is served, got one on 'meta'.* with y\.cpu\(\)$"
    with pytest.raises(fr.BackendUnavailableError, match=words):
        frt.Monitor(net(), [(x, y)])


@pytest.mark.parametrize(
    "layer",
    [nn.Linear(6, 2), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(1), nn.LSTM(6, 2), nn.Linear(6, 2, bias=False)],
    ids=str,
)
def test_probe_of_a_dtype_that_the_model_does_not_take(layer):
    x, y = probes(1, torch.float64)[0]
    x = x[:, 0] if isinstance(layer, nn.LSTM) else x
    words = r"^step 0, probe\[0\]: probe: expected x of the model's dtype, torch.float32, got torch.float64 \(.*"
    with pytest.raises(TypeError, match=words + r"; pass x\.to\(torch\.float32\)$"):
        frt.Monitor(nn.Sequential(layer), [(x, y)], "0", errors=False).measure(0)


@pytest.mark.parametrize("of", ["parameters", "buffers"])
def test_a_model_made_in_inference_mode_has_no_errors(of):
    with torch.inference_mode():
        made = net()
    model = made if of == "parameters" else net()
    model.norm.running_mean = made.norm.running_mean
    name = "conv1.weight" if of == "parameters" else "norm.running_mean"
    words = rf"^step 0, probe\[0\]: model: expected .*, got '{name}' made under torch\.inference_mode\(\); make .*"
    with pytest.raises(ValueError, match=words + r"copy\.deepcopy\(model\), or pass errors=False$"):
        frt.Monitor(model, probes(1)).measure(0)
    assert len(frt.Monitor(model, probes(1), errors=False).measure(0)) == 4
    assert frt.Monitor(copy.deepcopy(model), probes(1)).measure(0)["mi_error"].notna().sum() == 3


def test_other_errors_of_a_model_are_its_own():
    class Failing(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 2)

        def forward(self, x):
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match=r"^in the middle$"):
        frt.Monitor(Failing(), [(torch.randn(N, 4, dtype=torch.float64), torch.arange(N) % 2)]).measure(0)


def test_pandas_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"^Monitor needs pandas: pip install 'fastrenyi\[report\]'"):
        frt.Monitor(net(), probes(1))


def test_tqdm_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match=r"^progress=True needs tqdm: pip install tqdm"):
        frt.Monitor(net(), probes(1), progress=True)
    assert len(frt.Monitor(net(), probes(1)).measure(0)) == 4


def test_pyarrow_is_not_needed(tmp_path):
    run_python(f"""
        import sys
        for name in ("pyarrow", "pyarrow.parquet"):
            sys.modules[name] = None
        import torch
        import fastrenyi.torch as frt
        from networks import net, probes
        monitor = frt.Monitor(net(), probes(), store={str(tmp_path / "run.db")!r})
        for step in range(2):
            assert len(monitor.measure(step)) == 8
        assert monitor.steps == [0, 1] and len(frt.inequalities(monitor.frame())) > 0
    """)


def test_its_repr_says_what_is_measured(tmp_path):
    monitor = frt.Monitor(net(), probes())
    monitor.measure(3)
    layers = "layers=['conv1', 'conv2', 'fc1', 'fc2'], probe_sizes=[12, 12]"
    assert repr(monitor) == f"Monitor(Net, {layers}, alpha=1.01, pairs=True, errors='before', steps=[3])"
    path = tmp_path / "r.db"
    monitor = frt.Monitor(nn.DataParallel(net()), probes(1), "fc1", path, alpha=2, pairs=False, errors=False)
    shown = "layers=['fc1'], probe_sizes=[12], alpha=2.0, pairs=False, errors=False"
    assert repr(monitor) == f"Monitor(Net, {shown}, steps=[], store={str(path)!r})"
    monitor = frt.Monitor(nn.Sequential(*[nn.Linear(2, 2) for _ in range(9)]), [(torch.ones(2, 2), torch.ones(2, 2))])
    assert "layers=['0', '1', '2', '3', '4', '5', ...]" in repr(monitor)


def test_importing_the_room_loads_no_table_libraries():
    code = "import sys, fastrenyi.torch; print([m for m in ('pandas', 'pyarrow', 'matplotlib') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
