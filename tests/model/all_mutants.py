"""Every mutant that the model test must catch."""

from typing import Final

from tests.model.mutants import Mutant
from tests.model.mutants_of_damage import OF_DAMAGE
from tests.model.mutants_of_failures import OF_FAILURES
from tests.model.mutants_of_turns import OF_TURNS
from tests.model.mutants_of_utterances import OF_UTTERANCES

MUTANTS: Final[tuple[Mutant, ...]] = (*OF_TURNS, *OF_UTTERANCES, *OF_FAILURES, *OF_DAMAGE)
