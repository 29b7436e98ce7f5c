"""Says that a model's marking is a guess: a wrong one raises no error, results are just worse."""

from __future__ import annotations

from openrouter_embeddings._flows import marking
from openrouter_embeddings._warn import warn
from openrouter_embeddings.inputs import InputType
from openrouter_embeddings.options import Options
from openrouter_embeddings.profiles import UNKNOWN, ProfileWarning


def warn_of_a_guess(options: Options, input_type: InputType) -> None:
    """Give a `ProfileWarning` at the line of the user's."""
    guess = marking(options, UNKNOWN, input_type).input_type
    message = (
        f"No profile is known for model {options.model!r}, so its marking is a guess: "
        f"{f'input_type {guess!r} is sent' if guess else 'nothing is sent'} for a {input_type}. If the id is an alias, pass "
        f"the model behind it, such as profile='qwen/qwen3-embedding-8b'; else set {input_type}_input_type or "
        f"{input_type}_prefix, to '' if the model wants none."
    )
    warn(message, ProfileWarning)
