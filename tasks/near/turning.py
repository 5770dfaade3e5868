"""Words that turn the meaning of a query round although an analysis may drop them: they must be the same in both.

Negations, and words that say in which order or on which side. A language without a list here keeps all its stop words
where near answers are looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightrank.storage.characters import folded

if TYPE_CHECKING:
    from collections.abc import Mapping

TURNING: Mapping[str, frozenset[str]] = {
    language: frozenset(map(folded, words.split()))
    for language, words in {
        "danish": "ikke ingen uden aldrig mod før efter under over fra til mellem",
        "dutch": "geen niet niets zonder nooit tegen voor na onder over tot tussen behalve",
        "english": "no not without never none nor neither except from before after until till since than over under "
        "above below against between versus vs v within outside inside off out up down only",
        "finnish": "ei eivät emme en et ette ilman ennen jälkeen vastaan yli alle",
        "french": "ne pas sans non ni jamais aucun aucune sauf avant après contre sous entre moins plus",
        "german": "nicht nichts kein keine keinem keinen keiner keines ohne nie niemals weder noch gegen vor nach bis "
        "unter über hinter zwischen nur außer weg sonst sondern während",
        "italian": "non senza né mai contro prima dopo tra fra sotto sopra",
        "norwegian": "ikke ikkje ingen uten utan aldri mot før etter under over fra til mellom",
        "polish": "nie bez ani nigdy żaden przeciw przed po pod nad między od do oprócz",
        "portuguese": "não nem sem nunca contra antes depois até entre",
        "russian": "не нет ни без никогда ничего против до после перед под над между кроме от",
        "spanish": "no ni sin nunca nada antes ante contra entre desde hasta sobre",
        "swedish": "inte ej icke utan ingen inget inga aldrig mot före efter under över från till mellan",
    }.items()
}
