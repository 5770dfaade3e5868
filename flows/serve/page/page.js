"use strict";
const box = document.getElementById("q");
const completions = document.getElementById("completions");
let waiting = 0;

box.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const typed = box.value;
    const reply = await fetch("/suggest?" + new URLSearchParams({ q: typed })).catch(() => null);
    if (reply === null || !reply.ok || typed !== box.value) return;
    const { suggestions } = await reply.json();
    completions.replaceChildren(...suggestions.map((text) => new Option("", text)));
  }, 100);
});

function opened(event) {
  const link = event.target.closest("a[data-rank]");
  if (link === null) return;
  const click = {
    impression: event.currentTarget.dataset.impression,
    document_id: link.dataset.document,
    rank: Number(link.dataset.rank),
  };
  fetch("/clicks", {
    method: "POST",
    keepalive: true,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(click),
  }).catch(() => null);
}

for (const list of document.querySelectorAll("ol[data-impression]")) {
  list.addEventListener("click", opened);
  list.addEventListener("auxclick", opened);
}
