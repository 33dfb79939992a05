"""Compose: the CLI that recreates services, and the files that describe them (spec §7.1, §7.8)."""

from __future__ import annotations

from app.adapters.compose.cli import Compose, ComposeVersion, OnCommand, Project
from app.adapters.compose.errors import (
    CommandResult,
    ComposeCommandFailed,
    ComposeError,
    ComposeFileInvalid,
    ComposeFileUnreadable,
    ComposeInvalidName,
    ComposeMissing,
    ComposeTimeout,
)
from app.adapters.compose.files import is_image_only, parse_config_files_label, read_model
from app.adapters.compose.model import ComposeModel, ServiceSpec, VolumeMount, model_from_config
from app.adapters.compose.overrides import (
    is_generated_override,
    override_file,
    override_text,
    staged_docker_config,
)
from app.adapters.compose.process import OnLine
from app.adapters.compose.pull_output import PullLines, pull_message
from app.adapters.compose.redact import Redactor, plain, redact

__all__ = [
    "CommandResult",
    "Compose",
    "ComposeCommandFailed",
    "ComposeError",
    "ComposeFileInvalid",
    "ComposeFileUnreadable",
    "ComposeInvalidName",
    "ComposeMissing",
    "ComposeModel",
    "ComposeTimeout",
    "ComposeVersion",
    "OnCommand",
    "OnLine",
    "Project",
    "PullLines",
    "Redactor",
    "ServiceSpec",
    "VolumeMount",
    "is_generated_override",
    "is_image_only",
    "model_from_config",
    "override_file",
    "override_text",
    "parse_config_files_label",
    "plain",
    "pull_message",
    "read_model",
    "redact",
    "staged_docker_config",
]
