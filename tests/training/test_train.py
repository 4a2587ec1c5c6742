"""Real trainings of a tiny model on exported data, by TRL's trainers: what is learnt, and what is written."""

# TRL, transformers and torch tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from trajectory_hub.errors import ConfigError
from trajectory_hub.eval.audit.evidence import Dataset as Evident
from trajectory_hub.eval.audit.evidence import Evidence
from trajectory_hub.rollouts.files import sha256_of
from trajectory_hub.training.dpo import train_dpo
from trajectory_hub.training.kto import train_kto
from trajectory_hub.training.sft import train_sft
from trajectory_hub.training.trainer.config import SftConfig
from trajectory_hub.training.trainer.output import Trained

from .configs import dpo_of, kto_of, sft_of
from .test_train_render import MARKED

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of other people's code
Settings = Mapping[str, Any]


def losses(output: Path) -> list[float]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def weights(output: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(output / "model.safetensors")


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(bool((one[name] == other[name]).all()) for name in one)


@pytest.fixture(scope="module")
def sft(tiny_lm: Path, datasets_of_run: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A checkpoint, with what was told while it was trained."""
    told = io.StringIO()
    config = sft_of(
        model=str(tiny_lm),
        data=(str(datasets_of_run["sft"]),),
        output=str(tmp_path_factory.mktemp("sft") / "out"),
        max_steps=4,
        batch_size=2,
        learning_rate=1e-3,
        bf16=False,
        device="cpu",
        logging_steps=1,
    )
    return config, train_sft(config, told), told.getvalue()


def test_a_checkpoint_is_tied_to_what_it_was_made_of(sft: tuple[SftConfig, Trained, str]) -> None:
    config, done, told = sft
    manifest = json.loads((done.output / "training.json").read_text())
    data = Path(config.data[0])
    (source,) = manifest["data"]
    assert {file["name"]: file["sha256"] for file in source["files"]} == {
        str(path.relative_to(data)): sha256_of(path)
        for path in (data / "data" / "train.jsonl", data / "data" / "train.parquet", data / "statistics.json")
    }
    assert [file["name"] for file in source["files"] if file["read"]] == ["data/train.jsonl"]
    assert manifest["config"] == config.model_dump(mode="json")
    assert manifest["counts"]["train"]["examples"] == manifest["counts"]["train"]["rows"] == 8
    assert manifest["seeds"] == {"training": 0, "selection": 0}
    assert manifest["code"]["versions"]["trl"]
    assert {file["name"]: file["sha256"] for file in manifest["checkpoint"]}["model.safetensors"] == sha256_of(
        done.output / "model.safetensors"
    )
    assert manifest["steps"] == 4
    assert manifest["tokens"] > manifest["counts"]["train"]["learnt_tokens"]
    assert losses(done.output)[-1] < losses(done.output)[0] == manifest["losses"]["first"]
    assert not (done.output / "checkpoints").exists()
    assert "step 4/4  loss" in told


def test_an_audit_finds_the_training_by_the_data_s_checksum(sft: tuple[SftConfig, Trained, str]) -> None:
    config, done, _ = sft
    evidence = Evidence(datasets=[Evident(Path(config.data[0]))], effects=[done.output / "training.json"])
    ((path, files),) = evidence.used()
    assert path == done.output / "training.json"
    assert len(files) == 3


def test_the_first_example_is_shown_with_what_is_learnt(sft: tuple[SftConfig, Trained, str]) -> None:
    told = sft[2]
    assert "First example (shop-0):" in told
    lines = told.splitlines()
    assert any(line.startswith("learnt | Look at the code.") for line in lines)
    assert not any(line.startswith("learnt |") and "class Cart" in line for line in lines)


def test_the_card_says_what_the_manifest_says(sft: tuple[SftConfig, Trained, str]) -> None:
    config, done, _ = sft
    card = (done.output / "README.md").read_text()
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["library_name"] == "transformers"
    assert sha256_of(Path(config.data[0]) / "data" / "train.jsonl") in card
    assert "learning_rate: 0.001" in card


def test_the_checkpoint_loads_and_speaks(sft: tuple[SftConfig, Trained, str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    output = sft[1].output
    model: Any = AutoModelForCausalLM.from_pretrained(output)
    tokenizer: Any = AutoTokenizer.from_pretrained(output)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert model.generate(**prompt, max_new_tokens=3, do_sample=False).shape[1] == prompt["input_ids"].shape[1] + 3


def test_a_finished_output_is_kept_and_another_configuration_refused(
    sft: tuple[SftConfig, Trained, str], tmp_path: Path
) -> None:
    config, done, _ = sft
    moved = str(shutil.copytree(config.data[0], tmp_path / "moved"))  # the same data, by checksum
    again = train_sft(config.model_copy(update={"logging_steps": 7, "data": (moved,)}), io.StringIO())
    assert again.kept
    assert again.manifest == done.manifest
    with pytest.raises(ConfigError, match=r"what differs: learning_rate, selection\.limit\. Choose another output"):
        train_sft(config.model_validate({**config.model_dump(), "learning_rate": 0.1, "selection": {"limit": 3}}))


def test_other_data_under_the_same_name_are_refused(
    datasets_of_run: Mapping[str, Path], quick: Settings, tmp_path: Path
) -> None:
    data = tmp_path / "rows.jsonl"
    lines = (datasets_of_run["sft"] / "data" / "train.jsonl").read_text().splitlines(keepends=True)
    data.write_text("".join(lines[:2]))
    config = sft_of(data=(str(data),), **{**quick, "max_steps": 1})
    train_sft(config, io.StringIO())
    data.write_text("".join(lines[:3]))
    with pytest.raises(ConfigError, match="other checksums"):
        train_sft(config, io.StringIO())


def test_it_is_what_trl_itself_learns(
    sft: tuple[SftConfig, Trained, str], tiny_lm: Path, datasets_of_run: Mapping[str, Path], tmp_path: Path
) -> None:
    """The same data, mask and order by a plain TRL script, with a template that marks the same tokens."""
    from datasets import load_dataset
    from transformers import AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_lm)
    tokenizer.chat_template = MARKED
    args = SFTConfig(
        output_dir=str(tmp_path),
        max_steps=4,
        per_device_train_batch_size=2,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=0.03,
        seed=0,
        data_seed=0,
        max_length=8192,
        assistant_only_loss=True,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        save_strategy="no",
    )
    data: Any = load_dataset(str(datasets_of_run["sft"]), split="train", cache_dir=str(tmp_path / "cache"))
    trainer: Any = SFTTrainer(model=str(tiny_lm), args=args, train_dataset=data, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(tmp_path / "plain"))
    assert same(weights(sft[1].output), weights(tmp_path / "plain"))


def test_weights_of_one_change_nothing_and_weights_of_zero_teach_nothing(
    sft: tuple[SftConfig, Trained, str], quick: Settings, tmp_path: Path, tiny_lm: Path
) -> None:
    config, done, _ = sft
    one = config.model_validate(
        {**config.model_dump(), "output": str(tmp_path / "one"), "step_weights": {"floor": 1.0}}
    )
    assert losses(train_sft(one, io.StringIO()).output) == pytest.approx(losses(done.output), rel=1e-5)
    rows = [json.loads(line) for line in (Path(config.data[0]) / "data" / "train.jsonl").read_text().splitlines()]
    data = tmp_path / "worthless.jsonl"
    data.write_text("".join(json.dumps({**row, "rewards": [0.0] * len(row["rewards"])}) + "\n" for row in rows))
    nothing = {**quick, "output": str(tmp_path / "zero"), "step_weights": {}}
    learnt = train_sft(sft_of(data=(str(data),), **nothing), io.StringIO())
    assert losses(learnt.output) == [0.0] * 4
    assert same(weights(learnt.output), weights(tiny_lm))


def test_packing_joins_rows_without_mixing_them(
    datasets_of_run: Mapping[str, Path], quick: Settings, tmp_path: Path
) -> None:
    """The first loss over all rows is the same however they lie, since no row sees another."""
    base = {**quick, "max_steps": 1, "batch_size": 8, "data": (str(datasets_of_run["sft"]),)}
    apart = train_sft(sft_of(**{**base, "output": str(tmp_path / "apart")}), io.StringIO())
    joined = train_sft(
        sft_of(**{**base, "output": str(tmp_path / "joined"), "packing": True, "max_length": 4096}), io.StringIO()
    )
    assert losses(joined.output) == pytest.approx(losses(apart.output), rel=1e-4)
    weighted = {"packing": True, "max_length": 4096, "step_weights": {"floor": 1.0}, "output": str(tmp_path / "both")}
    assert losses(train_sft(sft_of(**{**base, **weighted}), io.StringIO()).output) == pytest.approx(
        losses(apart.output), rel=1e-4
    )


def test_rows_are_chosen_by_reward_or_by_chance(
    datasets_of_run: Mapping[str, Path], quick: Settings, tmp_path: Path
) -> None:
    chosen = dict[str, list[str]]()
    for name, selection in {
        "good": {"resolved": True, "order": "best", "limit": 4},
        "chance": {"order": "random", "limit": 4, "seed": 3},
    }.items():
        config = sft_of(
            data=(str(datasets_of_run["all"]),), selection=selection, **{**quick, "output": str(tmp_path / name)}
        )
        counts = train_sft(config, io.StringIO(), dry_run=True).manifest["counts"]["train"]
        assert (counts["rows"], counts["examples"]) == (4, 4)
        from trajectory_hub.training.trainer.data import DataSource, selected

        rows = list(selected([DataSource(datasets_of_run["all"])], config.selection))
        chosen[name] = [row["resolved"] for row in rows]
    assert chosen["good"] == [True] * 4
    assert False in chosen["chance"]
    assert not (tmp_path / "good").exists(), "a dry run writes nothing"


def test_it_stops_early_and_keeps_the_best(datasets_of_run: Mapping[str, Path], quick: Settings) -> None:
    early = {"max_steps": 40, "eval_steps": 1, "early_stopping": 2, "early_stopping_delta": 100.0, "eval_share": 0.4}
    config = sft_of(data=(str(datasets_of_run["sft"]),), **{**quick, **early, "scheduler": "constant"})
    done = train_sft(config, io.StringIO())
    assert done.manifest["steps"] == 3
    counts = done.manifest["counts"]
    assert counts["train"]["examples"] + counts["eval"]["examples"] == 8
    assert min(counts["train"]["examples"], counts["eval"]["examples"]) > 0
    told = done.manifest["losses"]
    assert told["held_out_least"] == told["held_out_last"] < told["held_out_first"]


def test_held_out_data_are_counted_apart(datasets_of_run: Mapping[str, Path], quick: Settings) -> None:
    config = sft_of(data=(str(datasets_of_run["sft"]),), eval_data=str(datasets_of_run["steps"]), **quick)
    counts = train_sft(config, io.StringIO(), dry_run=True).manifest["counts"]
    assert (counts["train"]["examples"], counts["eval"]["examples"]) == (8, 38)


def test_adapters_are_merged_or_kept(datasets_of_run: Mapping[str, Path], quick: Settings, tmp_path: Path) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    base = {**quick, "max_steps": 2, "learning_rate": 0.01, "data": (str(datasets_of_run["sft"]),)}
    outputs = {
        merge: train_sft(
            sft_of(**{**base, "output": str(tmp_path / str(merge)), "lora": {"rank": 4, "merge": merge}}),
            io.StringIO(),
        ).output
        for merge in (True, False)
    }
    assert not (outputs[True] / "adapter_config.json").exists()
    merged: Any = AutoModelForCausalLM.from_pretrained(outputs[True])
    adapted: Any = AutoPeftModelForCausalLM.from_pretrained(outputs[False])
    one, other = merged.state_dict(), adapted.merge_and_unload().state_dict()
    assert all(one[name].allclose(other[name], atol=1e-6) for name in one)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_model_learns_by_adapters(datasets_of_run: Mapping[str, Path], quick: Settings, bits: int) -> None:
    from peft import AutoPeftModelForCausalLM

    settings = {**quick, "max_steps": 4, "learning_rate": 0.01, "lora": {"rank": 4, "bits": bits}}
    done = train_sft(sft_of(data=(str(datasets_of_run["sft"]),), **settings), io.StringIO())
    assert losses(done.output)[-1] < losses(done.output)[0]
    assert {file["name"] for file in done.manifest["checkpoint"]} >= {"adapter_config.json", "tokenizer.json"}
    assert not (done.output / "model.safetensors").exists()
    adapted: Any = AutoPeftModelForCausalLM.from_pretrained(done.output)
    assert any(bool(value.any()) for name, value in adapted.state_dict().items() if "lora_B" in name)


def test_dpo_learns_from_what_the_agent_said_only(datasets_of_run: Mapping[str, Path], quick: Settings) -> None:
    """Of every batch that the loss is computed of: no token of an observation carries loss."""
    config = dpo_of(data=(str(datasets_of_run["preference"]),), at="completion", **quick)
    seen = Batches()
    with seen.of("MaskedDPOTrainer"):
        done = train_dpo(config, io.StringIO())
    learnt = seen.learnt("completion_mask")
    assert any("<tool_call>" in text for text in learnt)
    for text in learnt:
        assert "class Cart" not in text
        assert "DISCOUNT = 100" not in text
        assert "passed in 0.02s" not in text
    rows = [json.loads(line) for line in (done.output / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["rewards/margins"] == pytest.approx(0.0, abs=1e-4), "the reference is the model it begins with"
    assert rows[3]["rewards/margins"] > rows[0]["rewards/margins"]
    assert done.manifest["algorithm"] == "dpo"


def test_dpo_compares_first_steps_and_holds_the_chosen_likelihood(
    datasets_of_run: Mapping[str, Path], quick: Settings, tmp_path: Path
) -> None:
    def trained(name: str, **more: Any) -> tuple[float, int]:
        settings = {**quick, "max_steps": 5, "learning_rate": 3e-3, "output": str(tmp_path / name), **more}
        done = train_dpo(dpo_of(data=(str(datasets_of_run["preference"]),), **settings), io.StringIO())
        rows = [json.loads(line) for line in (done.output / "metrics.jsonl").read_text().splitlines()]
        return rows[4]["logps/chosen"], done.manifest["counts"]["train"]["longest"]

    anchored, short = trained("anchored", sft_weight=20)
    free, _ = trained("free", sft_weight=0, precompute_reference=False)
    assert anchored > free
    whole = dpo_of(data=(str(datasets_of_run["preference"]),), at="completion", **quick)
    assert train_dpo(whole, io.StringIO(), dry_run=True).manifest["counts"]["train"]["longest"] > short


def test_kto_learns_from_good_and_bad_trajectories(datasets_of_run: Mapping[str, Path], quick: Settings) -> None:
    seen = Batches()
    with seen.of("MaskedKTOTrainer"):
        done = train_kto(kto_of(data=(str(datasets_of_run["all"]),), **quick), io.StringIO())
    for mask in ("completion_mask", "KL_completion_mask"):
        assert not any("class Cart" in text for text in seen.learnt(mask))
    assert done.manifest["counts"]["train"]["examples"] == 16
    with pytest.raises(ConfigError, match="there are 8 and 0"):
        train_kto(
            kto_of(data=(str(datasets_of_run["sft"]),), **{**quick, "output": quick["output"] + "2"}), io.StringIO()
        )


class Batches:
    """Looks over a trainer's shoulder: keeps every batch that its loss is computed of."""

    def __init__(self) -> None:
        self.batches = list[dict[str, Any]]()
        self.tokenizer: Any = None

    @contextmanager
    def of(self, name: str) -> Generator[None]:
        from trajectory_hub.training.trainer import trainers

        kind = getattr(trainers, name)
        compute = kind.compute_loss

        def watched(trainer: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            self.tokenizer = trainer.processing_class
            self.batches.append({key: value.clone() for key, value in inputs.items()})
            return compute(trainer, model, inputs, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kind, "compute_loss", watched)
            yield

    def learnt(self, mask: str) -> list[str]:
        ids = mask.replace("completion_mask", "input_ids")
        assert self.batches
        return [
            self.tokenizer.decode(row[bits.bool()])
            for batch in self.batches
            for row, bits in zip(batch[ids], batch[mask], strict=True)
        ]
