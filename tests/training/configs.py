"""Configurations of trainings from values of any type, checked as those of a file are."""

from typing import Any

from trajectory_hub.training.trainer.config import DpoConfig, GrpoConfig, KtoConfig, SftConfig

__all__ = ["dpo_of", "grpo_of", "kto_of", "sft_of"]


def sft_of(**values: Any) -> SftConfig:
    return SftConfig.model_validate(values)


def dpo_of(**values: Any) -> DpoConfig:
    return DpoConfig.model_validate(values)


def kto_of(**values: Any) -> KtoConfig:
    return KtoConfig.model_validate(values)


def grpo_of(**values: Any) -> GrpoConfig:
    return GrpoConfig.model_validate(values)
