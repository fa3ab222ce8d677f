"""Whether a metric's model is here: read from names of files alone, so that `--list` costs nothing."""

from __future__ import annotations

import importlib.util

from platelight.errors import ModelError
from platelight_server.models.catalogue import card
from platelight_server.models.consent import accepted, require_consent
from platelight_server.models.folders import find

from .metric import Setting

__all__ = ["absent"]


def absent(name: str, setting: Setting) -> str:
    """What to do before a model can be used, "" where it can be now."""
    one = card(name)
    if not importlib.util.find_spec("transformers") or not importlib.util.find_spec("safetensors"):
        return f"model {name}: pip install 'platelight[models]'"
    try:
        find(one, setting.roots)
    except ModelError as error:
        return f"{str(error).partition('; download it')[0]}; `platelight models where {name}` says how to get it"
    try:
        require_consent([one], accepted([one]))
    except ModelError as error:
        return str(error)
    return ""
