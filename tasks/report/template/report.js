"use strict";
{
  const root = document.documentElement;
  const toggle = document.getElementById("theme");
  const dark = () =>
    root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = () => { toggle.textContent = dark() ? "Light" : "Dark"; };
  toggle.hidden = false;
  label();
  toggle.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);

  const filter = document.getElementById("filter");
  if (filter) {
    const box = filter.querySelector("input[type=search]");
    const counted = document.getElementById("shown-count");
    const stories = [...document.querySelectorAll("#queries details")];
    const texts = stories.map((story) => story.dataset.find.toLowerCase());
    const apply = () => {
      const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
      const outcome = filter.querySelector("input[name=outcome]:checked").value;
      let shown = 0;
      stories.forEach((story, place) => {
        const fits = (outcome === "all" || story.dataset.outcome === outcome)
          && words.every((word) => texts[place].includes(word));
        story.hidden = !fits;
        shown += fits;
      });
      counted.textContent = `${shown} of ${stories.length} shown`;
    };
    filter.hidden = false;
    filter.addEventListener("input", apply);
    filter.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((one) => { one.open = false; }));
}
