"""A module that no sandbox can load: it rolls dice when it is imported."""

import random

LUCK = random.randint(1, 6)
