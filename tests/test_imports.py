"""What importing loads, and the public names."""

from __future__ import annotations

import inspect

import pytest

import fastrenyi as fr
from conftest import run_python

OPTIONAL = {
    "torch", "cupy", "jax", "pandas", "pyarrow", "xarray", "matplotlib", "sklearn", "mlxtend", "tqdm", "torchmetrics",
}  # fmt: skip
LOADED = f"""
    import sys
    print(*sorted({OPTIONAL} & set(sys.modules)))
"""


def loaded(program: str) -> set[str]:
    return set(run_python(program + LOADED).split())


def test_the_check_itself_can_fail() -> None:
    assert "tqdm" in loaded("\n    import tqdm")


def test_import_loads_no_optional_library() -> None:
    assert loaded("\n    import fastrenyi") == set()


def test_use_loads_no_optional_library() -> None:
    assert (
        loaded("""
    import numpy as np
    import fastrenyi as fr
    rng = np.random.default_rng(0)
    for rule in ["silverman", "scott", "median", "neighbours"]:
        fr.gram(rng.normal(size=(12, 3)), "gaussian", rule)
    fr.layer_decomposition(fr.channel_grams(rng.normal(size=(12, 3, 4))), fr.gram(np.arange(12) % 3, "delta"))
    try:
        fr.entropy([1.0])
    except TypeError:
        pass
""")
        == set()
    )


def test_import_of_the_torch_room_loads_torch_alone() -> None:
    """And what torch itself loads."""
    assert loaded("\n    import fastrenyi.torch") == loaded("\n    import torch") >= {"torch"}


@pytest.mark.parametrize("module", ["fastrenyi.torch", "fastrenyi.torch.monitor"])
def test_the_torch_room_without_torch_says_what_to_install(module: str) -> None:
    program = f"""
    import sys
    sys.modules["torch"] = None
    try:
        import {module}
    except ImportError as error:
        print(error, error.name, sep="; ")
"""
    assert run_python(program) == "fastrenyi.torch needs torch: pip install 'fastrenyi[torch]'; torch\n"


@pytest.mark.parametrize(
    ("tool", "needed"), [("sklearn", "scikit-learn 1.6 or later"), ("torchmetrics", "torchmetrics")]
)
def test_a_part_for_a_tool_that_is_not_there_says_what_to_install(tool: str, needed: str) -> None:
    program = f"""
    import sys
    sys.modules["{tool}"] = None
    try:
        import fastrenyi.compat.{tool}
    except ImportError as error:
        print(error, error.name, sep="; ")
"""
    expected = f"fastrenyi.compat.{tool} needs {needed}: pip install 'fastrenyi[{tool}]'; {tool}\n"
    assert run_python(program) == expected


def test_parts_for_tools_load_none_that_is_not_asked_for() -> None:
    assert loaded("\n    import fastrenyi.compat.vendi, fastrenyi.compat.repitl, fastrenyi.compat.torchlens") == set()


def test_works_where_no_optional_library_is_installed() -> None:
    blocked = f"\n    import sys\n    for name in {sorted(OPTIONAL)}: sys.modules[name] = None\n"
    program = """
    import numpy as np
    import fastrenyi as fr
    print(fr.entropy(fr.gram(np.arange(4), "delta"), 1))
"""
    assert run_python(blocked + program) == "2.0\n"


DESIGN = [
    "gram",
    "channel_grams",
    "tensor_gram",
    "Gaussian",
    "Laplacian",
    "Cosine",
    "Polynomial",
    "Delta",
    "Silverman",
    "Scott",
    "Median",
    "NearestNeighbours",
    "Alignment",
    "spectrum",
    "entropy",
    "joint_entropy",
    "conditional_entropy",
    "mutual_information",
    "conditional_mutual_information",
    "total_correlation",
    "dual_total_correlation",
    "o_information",
    "interaction_information",
    "divergence",
    "layer_decomposition",
    "LayerDecomposition",
    "rank_maps",
    "leave_one_out",
    "group_o_information",
    "NotPositiveSemidefiniteError",
    "BackendUnavailableError",
]


def test_public_names() -> None:
    assert set(DESIGN) <= set(fr.__all__)
    assert fr.__all__ == sorted(fr.__all__)
    assert len(set(fr.__all__)) == len(fr.__all__)
    assert fr.__version__.count(".") >= 2


@pytest.mark.parametrize("name", [name for name in fr.__all__ if not name.startswith("__")])
def test_public_objects_have_docstrings_and_type_hints(name: str) -> None:
    thing = getattr(fr, name)
    assert inspect.getdoc(thing)
    if inspect.isfunction(thing):
        signature = inspect.signature(thing)
        assert signature.return_annotation is not signature.empty
        for parameter in signature.parameters.values():
            assert parameter.annotation is not parameter.empty, parameter


def test_defaults_of_the_design() -> None:
    for name in fr.__all__:
        thing = getattr(fr, name)
        if not inspect.isfunction(thing):
            continue
        parameters = inspect.signature(thing).parameters
        if "alpha" in parameters and name != "effective_rank":  # by its definition of order 1
            assert parameters["alpha"].default == 1.01
            assert parameters["base"].default == 2
        if "kernel" in parameters and name != "graph_gram":  # whose kernels are others
            assert parameters["kernel"].default == "gaussian"
