"""What is counted and timed, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from nightrank.flows.serve.http.reply import Reply

if TYPE_CHECKING:
    from datetime import datetime

    from nightrank.flows.serve.answer import Answer, Answerer
    from nightrank.storage.visits.log import RowCounts

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        requests = Counter(
            "nightrank_requests", "Requests by path and status.", ["path", "status"], registry=self._registry
        )
        self._requests = requests
        self._seconds = Histogram(
            "nightrank_answer_seconds",
            "Seconds from the arrival of a request to its answer, by how that was made.",
            ["how"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._by_how = {how: self._seconds.labels(how) for how in ("exact", "near", "live")}
        self._cut = Counter("nightrank_answers_cut", "Live answers whose deadline cut pairs.", registry=self._registry)
        self._pairs = Counter("nightrank_pairs_scored", "Pairs scored for live answers.", registry=self._registry)
        self._switches = Gauge("nightrank_switches", "Releases that took another's place.", registry=self._registry)
        self._live = Gauge("nightrank_live", "Live answers under way.", ["state"], registry=self._registry)
        self._age = Gauge("nightrank_release_age_seconds", "Age of the release.", registry=self._registry)
        self._held = Gauge("nightrank_releases_held", "Releases in memory.", registry=self._registry)
        self._rows = Gauge("nightrank_log_rows", "Rows of the query log.", ["state"], registry=self._registry)
        self._bytes = Gauge("nightrank_collection_bytes", "Memory of the collection.", registry=self._registry)

    def request(self, path: str, status: int) -> None:
        """Count a request.

        Args:
            path: As the server knows it: a visitor cannot make new ones.
            status: Of the reply.
        """
        self._requests.labels(path, status).inc()

    def answered(self, answer: Answer, seconds: float) -> None:
        """Count an answer that took so long."""
        self._by_how[answer.how].observe(seconds)
        if answer.pairs_scored is not None and answer.pairs_wanted is not None:
            self._pairs.inc(answer.pairs_scored)
            if answer.pairs_scored < answer.pairs_wanted:
                self._cut.inc()

    def page(self, answerer: Answerer, rows: RowCounts, *, now: datetime) -> Reply:
        """All of it, as Prometheus reads it.

        Args:
            answerer: Answers questions.
            rows: Of the query log.
            now: What ages are counted to.
        """
        self._rows.labels("written").set(rows.written)
        self._rows.labels("lost").set(rows.lost)
        release = answerer.current.peek()
        self._switches.set(answerer.current.switches)
        self._live.labels("running").set(answerer.capacity.running)
        self._live.labels("waiting").set(answerer.capacity.waiting)
        self._held.set(answerer.current.held)
        if release is not None:
            self._age.set((now - release.manifest.created_at).total_seconds())
            self._bytes.set(release.size_bytes)
        return Reply(200, generate_latest(self._registry), CONTENT_TYPE_LATEST)
