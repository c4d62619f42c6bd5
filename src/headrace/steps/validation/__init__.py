"""Validate: good rows go on, bad ones are set aside with the reason, and none is lost."""

from __future__ import annotations

from headrace.steps.validation.step import REASON, Validated, validate

__all__ = ["REASON", "Validated", "validate"]
