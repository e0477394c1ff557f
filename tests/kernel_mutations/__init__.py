"""Deliberate bugs in the AscendC kernels, each of which a small battery of calls has to catch.

python -m tests.kernel_mutations                 all of them; writes the table of docs/kernel_mutations.md
python -m tests.kernel_mutations NAME...         some of them
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # tests/compiled.py, for the command
