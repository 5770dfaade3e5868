"""What a reranker is before it is loaded: where its weights are, and what its scores depend on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RerankerPlan:
    """Everything about a reranker that can be known without loading it.

    Attributes:
        folder: Its files.
        has_card: Whether it is one of ours: a delta on the packaged base, with a card.
        weight: Of its score against the first stage.
        fingerprint: Decides its scores: files, truncation, precision class, prompt.
        runtime: What runs it.
        prompt: What it is told with each pair; None for what is the model's own.
    """

    folder: Path
    has_card: bool
    weight: float
    max_tokens: int | None
    device: str
    precision: str
    fingerprint: str
    runtime: Literal["torch", "openvino"] = "torch"
    prompt: str | None = None

    @property
    def key(self) -> str:
        """Decides a ranking: the scores, and how much they count."""
        return f"{self.fingerprint} at {self.weight:g}"
