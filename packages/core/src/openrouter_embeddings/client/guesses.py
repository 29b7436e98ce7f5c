"""Says that a model's marking is a guess: a wrong one raises no error, results are just worse."""

from __future__ import annotations

import inspect
import warnings

from openrouter_embeddings._flows import marking
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import UNKNOWN, ProfileWarning

_PACKAGE = __name__.partition(".")[0]


def warn_of_a_guess(options: Options, input_type: InputType) -> None:
    """Give a `ProfileWarning` at the line that called this package."""
    guess = marking(options, UNKNOWN, input_type).input_type
    message = (
        f"No profile is known for model {options.model!r}, so its marking is a guess: "
        f"{f'input_type {guess!r} is sent' if guess else 'nothing is sent'} for a {input_type}. If the id is an alias, pass "
        f"the model behind it, such as profile='qwen/qwen3-embedding-8b'; else set {input_type}_input_type or "
        f"{input_type}_prefix, to '' if the model wants none."
    )
    warnings.warn(message, ProfileWarning, stacklevel=_level_of_the_caller())


def _level_of_the_caller() -> int:
    """Return the stack level, as the function above counts, of the first frame outside this package."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE:
        level, frame = level + 1, frame.f_back
    return level
