"""Checkpoints: what there is and under which licence, where it lies, how it is loaded and kept in memory.

Nothing in here reads a network. Hugging Face's libraries are told so before they are imported, in this process and in
those that it starts; what the user's shell says is left alone.
"""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
