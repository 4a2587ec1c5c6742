"""Presets and generated JSON Schemas."""
