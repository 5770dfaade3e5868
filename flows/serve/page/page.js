"use strict";
// Without it the page searches all the same: it completes what is typed, and tells the server which result was opened.
const box = document.getElementById("q");
const completions = document.getElementById("completions");
let waiting;

box.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(async () => {
    const typed = box.value;
    try {
      const reply = await fetch(`/suggest?q=${encodeURIComponent(typed)}`);
      if (!reply.ok || typed !== box.value) return;
      const options = (await reply.json()).suggestions.map((text) => {
        const option = document.createElement("option");
        option.value = text;
        return option;
      });
      completions.replaceChildren(...options);
    } catch { /* the next letter asks again */ }
  }, 120);
});

addEventListener("click", (event) => {
  const opened = event.target.closest("a[data-document]");
  const impression = opened?.closest("ol").dataset.impression;
  if (!impression) return;
  const click = { impression, document_id: opened.dataset.document, rank: Number(opened.dataset.rank) };
  const headers = { "Content-Type": "application/json" };
  fetch("/clicks", { method: "POST", keepalive: true, headers, body: JSON.stringify(click) }).catch(() => {});
});
