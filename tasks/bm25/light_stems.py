"""Simple stemmers for languages that Snowball has none for: what a word begins with, and Hebrew's particles.

The first five letters of a word did as well as a lemmatiser for Turkish (Can et al. 2008, "Information Retrieval on
Turkish Texts", F5), and here better than no stemmer, or than another language's, for Kazakh, Bulgarian and Ukrainian.
"""

from __future__ import annotations

# Part of every analysis fingerprint: raise it when a word comes to have another stem.
LIGHT_STEMS = "1"

LETTERS = 5

# And, that, as, the, in, from, to: written onto the word that they stand before.
_PARTICLES = frozenset("ושכהבלמ")
_MOST_PARTICLES = 2
_ENDINGS = ("יים", "ים", "ות", "ית", "ה", "י", "ת")
_LEAST_LETTERS = 4  # that stay of a word


def beginning(word: str) -> str:
    """What a word begins with.

    >>> beginning("мектептерде"), beginning("мектеп"), beginning("үй")
    ('мекте', 'мекте', 'үй')
    """
    return word[:LETTERS]


def hebrew_stem(word: str) -> str:
    """A Hebrew word without two of the particles before it, and without an ending, where four letters stay.

    >>> hebrew_stem("והנעליים") == hebrew_stem("נעליים"), hebrew_stem("של")
    (True, 'של')
    """
    taken = 0
    while taken < _MOST_PARTICLES and len(word) > _LEAST_LETTERS and word[0] in _PARTICLES:
        word, taken = word[1:], taken + 1
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_LETTERS:
            return word.removesuffix(ending)
    return word
