"""Model cards: what is known of a model's weights, and what was measured of them; no torch.

``file`` is the file beside the weights that holds what was measured, ``card`` puts it together with
what the weights say of themselves, ``view`` is how that is printed. ``measure`` and
``certificates`` make the file.
"""

from robustlvq.cards.card import ModelCard, model_card
from robustlvq.cards.file import Attacked, CardFile, Certified, card_path, read_card, write_card

__all__ = [
    "Attacked",
    "CardFile",
    "Certified",
    "ModelCard",
    "card_path",
    "model_card",
    "read_card",
    "write_card",
]
