"""What Blender is started with: `blender --python start.py -- STEPS FOLDER OPTIONS`, OPTIONS being JSON."""

import json
import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from tests.blender.gui.inside.drive import Drive

name, folder, options = sys.argv[sys.argv.index("--") + 1 :][:3]
Drive(Path(folder), import_module(f"tests.blender.gui.inside.{name}").steps, json.loads(options)).start()
