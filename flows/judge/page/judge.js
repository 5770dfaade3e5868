"use strict";
const form = document.getElementById("grades");
let sent = false;

if (form !== null) {
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
  addEventListener("pageshow", () => { sent = false; });
  addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const whole = document.querySelector("details");
    if (event.key === "w" && whole !== null) whole.open = !whole.open;
    const button = [...form.elements].find((one) => one.dataset.key === event.key.toLowerCase());
    if (button === undefined) return;
    event.preventDefault();
    form.requestSubmit(button);
  });
}
