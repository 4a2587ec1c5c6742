"""A whole model out of one with adapters: as peft itself merges them, by the names that transformers knows."""

# torch, transformers and peft tell little of their types:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from trajectory_hub.training.trainer.weights import save_whole, untied, whole_state
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from ...support.tiny_model import make

pytestmark = pytest.mark.filterwarnings("default")  # of other people's code
IDS = torch.arange(12)[None]
TIED = {"lm_head.weight", "model.embed_tokens.weight"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make(folder)
    return folder


def load(folder: Path) -> PreTrainedModel:
    loader: Any = AutoModelForCausalLM
    return loader.from_pretrained(folder, dtype="float32")


def adapted(model: PreTrainedModel, targets: str | list[str]) -> Any:
    """With adapters that change something, as a trainer holds it."""
    wrapped = get_peft_model(model, LoraConfig(r=3, lora_alpha=7, target_modules=targets, task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    for name, value in wrapped.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(value, std=0.2)
    return trainer_of(wrapped.eval())


def trainer_of(model: Any) -> Any:
    return SimpleNamespace(accelerator=Accelerator(cpu=True), model=model, model_wrapped=model)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(IDS).logits


def small_gpt2() -> PreTrainedModel:
    """Its layers hold weights the other way round."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=32, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    )


def test_adapters_are_merged_as_peft_merges_them(tiny: Path) -> None:
    for model, targets in ((load(tiny), "all-linear"), (small_gpt2(), ["c_attn"])):
        trainer = adapted(model, targets)
        found, before = whole_state(trainer), logits(trainer.model)
        merged = trainer.model.merge_and_unload().state_dict()
        assert found.keys() == merged.keys()
        for name, value in merged.items():
            torch.testing.assert_close(found[name], value, msg=name)
        torch.testing.assert_close(logits(trainer.model.get_base_model()), before, atol=1e-4, rtol=1e-4)


def test_a_tied_tensor_is_written_once_and_two_that_were_tied_twice(tiny: Path, tmp_path: Path) -> None:
    """Adapters of the embeddings do not change a head that was tied to them, in the file as in training."""
    linear, embedded = adapted(load(tiny), "all-linear"), adapted(load(tiny), ["embed_tokens"])
    for number, (trainer, names) in enumerate(((linear, {"model.embed_tokens.weight"}), (embedded, TIED))):
        folder = tmp_path / str(number)
        save_whole(trainer, folder)
        assert TIED & load_file(folder / "model.safetensors").keys() == names
        torch.testing.assert_close(logits(load(folder)), logits(trainer.model), atol=1e-4, rtol=1e-4)


class Gathering(Accelerator):
    """Gives each name a copy of its own, as FSDP does."""

    def get_state_dict(self, model: Any, unwrap: bool = True) -> dict[str, Any]:
        return {name: value.clone() for name, value in model.state_dict().items()}


def test_gathered_copies_of_a_tied_tensor_are_one_tensor(tiny: Path, tmp_path: Path) -> None:
    trainer = trainer_of(load(tiny))
    trainer.accelerator = Gathering(cpu=True)
    save_whole(trainer, tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == load_file(tiny / "model.safetensors").keys()


def test_untied_weights_share_no_memory(tiny: Path) -> None:
    apart = untied(load(tiny).state_dict())
    assert len({value.data_ptr() for value in apart.values()}) == len(apart)
