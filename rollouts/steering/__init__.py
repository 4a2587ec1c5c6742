"""Steering: predictions made while an episode goes on, and what is done about them: stop early, wait no longer."""

from .config import DynamicTimeout, EarlyStop, SteeringConfig
from .pilot import Pilot, Steering
from .predictor import Predictor

__all__ = ["DynamicTimeout", "EarlyStop", "Pilot", "Predictor", "Steering", "SteeringConfig"]
