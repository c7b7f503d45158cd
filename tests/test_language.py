"""``fastrenyi representations``: a model of Hugging Face in a folder, its tables and figure, and what can be wrong."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("pandas", "pyarrow", "matplotlib", "tqdm"):
    pytest.importorskip(needed)

import pandas as pd  # noqa: E402
from torch import Tensor, nn  # noqa: E402

import fastrenyi.torch as frt  # noqa: E402
from fastrenyi import cli  # noqa: E402
from fastrenyi.report.representations import LABELS, representations  # noqa: E402
from fastrenyi.table.prompts import Layer, differences  # noqa: E402

TEXTS = """\
a cat sat on the mat and the dog sat on the cat

the dog and the cat sat
on the mat the dog sat on a cat and a mat
a dog
the mat sat on the dog and on the cat the mat
"""


class Sums(nn.Module):
    """Two layers of states without weights."""

    def forward(self, x: Tensor) -> list[Tensor]:
        return [x, x.cumsum(1)]


@pytest.fixture
def frame(rng: np.random.Generator) -> pd.DataFrame:
    x = [torch.from_numpy(rng.normal(size=(5, 7, 4))) for _ in range(2)]
    return frt.representations(Sums(), [x], alpha=[1, 2], views=2)


@pytest.mark.parametrize("column", ["single", "double"])
def test_the_figure_has_each_measure_by_layer(frame: pd.DataFrame, column: Any, tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    figure = representations(frame, path, column=column)
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == [label for name, label in LABELS.items() if name != "diff_erank"]
    lines = figure.axes[0].get_lines()
    rows = frame[frame["measure"] == "prompt_entropy"]
    assert [line.get_xdata().tolist() for line in lines] == [[0, 1], [0, 1]]
    for line, alpha in zip(lines, (1, 2), strict=True):
        assert line.get_ydata().tolist() == rows[rows["alpha"] == alpha]["value"].tolist()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["order 1", "order 2"]
    assert path.read_bytes().startswith(b"\x89PNG")


def test_the_figure_tells_models_apart(frame: pd.DataFrame) -> None:
    both = pd.concat([frame.assign(model="one"), frame.assign(model="two", value=2 * frame["value"])])
    figure = representations(both[both["alpha"] != 2])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 2


def test_diff_erank_is_of_paired_prompts(rng: np.random.Generator) -> None:
    nats = rng.uniform(1, 2, size=(2, 50))
    nats[1, 3] = math.nan
    first, other = (Layer("0", 4, np.stack([row, row, row, row], 1), []) for row in nats)
    (row,) = differences([first], [other], [1.0]).itertuples()
    both = ~np.isnan(nats).any(0)
    here, there = np.exp(nats[:, both].mean(1))
    assert (row.measure, row.alpha, row.n_prompts) == ("diff_erank", 1.0, 49)
    assert row.value == pytest.approx(there - here)
    slopes = there * nats[1, both] - here * nats[0, both]
    assert row.standard_error == pytest.approx(slopes.std(ddof=1) / 7)
    (same,) = differences([first], [first], [1.0]).itertuples()
    assert (same.value, same.standard_error) == (0, 0)


def saved(folder: Path, layers: int = 2) -> Path:
    """A random BERT with its tokenizer, as transformers save them."""
    transformers = pytest.importorskip("transformers")
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(TEXTS.split()))]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizerFast(vocab={word: place for place, word in enumerate(words)}).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=layers, num_attention_heads=2, intermediate_size=16
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(layers)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text(TEXTS)
    return path


@pytest.mark.filterwarnings("default")  # those of transformers are not ours
def test_a_model_is_measured_and_compared(tmp_path: Path, texts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = saved(tmp_path / "tiny"), tmp_path / "out"
    given = ["representations", str(folder), str(texts), "--out", str(out), "--batch-size", "2", "--alpha", "1", "2"]
    assert cli.main([*given, "--against", "untrained", "--base", str(math.e)]) == 0
    assert {path.name for path in out.iterdir()} == {
        "model.db", "against.db", "representations.csv", "representations.parquet", "representations.png",
    }  # fmt: skip
    shown = capsys.readouterr().out
    assert "untrained - tiny" in shown
    assert f"written: {out}" in shown
    table = pd.read_parquet(out / "representations.parquet")
    assert list(table["model"].unique()) == ["tiny", "untrained", "untrained - tiny"]
    assert (table[table["measure"] == "tokens"]["n_prompts"] == 5).all()
    ranks = table[(table["measure"] == "effective_rank") & (table["alpha"] == 2)].pivot(
        index="depth", columns="model", values="value"
    )
    found = table[(table["measure"] == "diff_erank") & (table["alpha"] == 2)]
    np.testing.assert_allclose(found["value"], ranks["untrained"] - ranks["tiny"])
    read = pd.read_csv(out / "representations.csv", dtype={"layer": str})
    pd.testing.assert_frame_equal(read, table, check_dtype=False)

    # The same as by hand, and from the store.
    import transformers

    model = transformers.AutoModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    lines = [line for line in TEXTS.splitlines() if line]
    batches = [tokenizer(lines[k : k + 2], padding=True, return_tensors="pt") for k in (0, 2, 4)]
    expected = frt.representations(model, batches, alpha=[1, 2], base=math.e)
    mine = table[table["model"] == "tiny"].drop(columns="model").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, expected, check_dtype=False)
    before = (out / "model.db").read_bytes()
    assert cli.main([*given, "--against", "untrained"]) == 0
    assert (out / "model.db").read_bytes() == before
    other = saved(tmp_path / "deeper", layers=3)
    capsys.readouterr()
    assert cli.main([*given[:4], str(tmp_path / "b"), "--against", str(other)]) == 2
    assert "--against: expected a model of 3 layers of hidden states, got one of 4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--batch-size", "0"], "--batch-size: expected at least 1, got 0"),
        (["--max-tokens", "0"], "--max-tokens: expected at least 1, got 0"),
        (["--prompts", "0"], "--prompts: expected at least 1, got 0"),
        (["--against", "absent"], "--against: expected a folder with the config.json of Hugging Face, got absent"),
        (["--out", "texts.txt"], "--out: texts.txt is a file; name a folder"),
        (["--alpha", "-1"], "alpha: expected orders in"),
        (["--base", "1"], "base: expected a base above 1"),
    ],
)
def test_wrong_options_are_named(
    wrong: list[str], said: str, tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    assert cli.main(["representations", "tiny", "texts.txt", "--out", "out", *wrong]) == 2
    assert f"fastrenyi representations: error: {said}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "TEXTS: there is no file"),
        (b"\n \n", "TEXTS: expected a prompt a line, got"),
        (b"\xff\xfe\x00", "TEXTS: expected text in UTF-8, got"),
    ],
)
def test_wrong_texts_are_named(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, folder = tmp_path / "texts.txt", tmp_path / "tiny"
    if content is not None:
        texts.write_bytes(content)
    folder.mkdir()
    assert cli.main(["representations", str(folder), str(texts), "--out", str(tmp_path / "out")]) == 2
    assert "MODEL: expected a folder with the config.json" in capsys.readouterr().err
    (folder / "config.json").write_text("{}")
    assert cli.main(["representations", str(folder), str(texts), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


class Tokenizer:
    pad_token, model_max_length = "", 8

    def __call__(self, some: list[str], **_: Any) -> dict[str, Tensor]:
        return {"input_ids": torch.arange(len(some) * 3).reshape(-1, 3)}


def folder_of(model: nn.Module, tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let transformers load this model; return the arguments of the command for it."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    loaded = SimpleNamespace(
        AutoModel=SimpleNamespace(from_pretrained=lambda *_, **__: model),
        AutoTokenizer=SimpleNamespace(from_pretrained=lambda *_, **__: Tokenizer()),
    )
    monkeypatch.setitem(sys.modules, "transformers", loaded)
    return ["representations", str(folder), str(texts), "--out", str(tmp_path / "out")]


class Puts(nn.Module):
    """A model of tokens that puts out what has no hidden states by that name, as encoders with decoders do."""

    def forward(self, input_ids: Tensor) -> dict[str, Any]:
        return {"last_hidden_state": input_ids[..., None] / 2, "cache": object()}


@pytest.mark.parametrize(
    ("model", "said"),
    [(Puts(), "got a object in 'cache'"), (nn.Flatten(), "unexpected keyword argument 'input_ids'")],
)
def test_models_without_hidden_states_are_named(
    model: nn.Module, said: str, tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert cli.main(folder_of(model, tmp_path, texts, monkeypatch)) == 2
    message = capsys.readouterr().err
    assert "error: MODEL: expected a model that is called with tokens and puts out hidden states" in message
    assert f"got {type(model).__name__} in {tmp_path / 'tiny'}" in message
    assert said in message


def test_prompts_without_a_spread_are_told(
    tmp_path: Path, texts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Same(nn.Module):
        def forward(self, input_ids: Tensor) -> list[Tensor]:
            x = input_ids[..., None] ** torch.arange(3.0)
            x[1] = x[1, 0]
            return [x]

    assert cli.main(folder_of(Same(), tmp_path, texts, monkeypatch)) == 0
    expected = "warning: tiny: in layer '0' 1 of 5 prompts have tokens that are all the same"
    assert expected in capsys.readouterr().err


def test_transformers_that_are_missing_are_named(tmp_path: Path, texts: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    code = "import sys; sys.modules['transformers'] = None; from fastrenyi import cli; sys.exit(cli.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "representations", str(folder), str(texts), "--out", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "fastrenyi representations: error: needs transformers; pip install 'fastrenyi[language]'" in done.stderr
