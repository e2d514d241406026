// A dispatch's page keeps itself up to date: the server sends a line of JSON when something has changed.
"use strict";
(() => {
  const page = document.getElementById("progress");
  const part = (name) => page.querySelector(`[data-show="${name}"]`);
  const states = JSON.parse(part("state").dataset.words);
  const words = JSON.parse(part("speed").dataset.words);
  const clock = (seconds) =>
    [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
      .map((n) => String(n).padStart(2, "0"))
      .join(":");
  const events = new EventSource(page.dataset.events);
  events.onmessage = (event) => {
    const told = JSON.parse(event.data);
    part("state").textContent = states[told.state];
    part("done").textContent = told.done;
    part("total").textContent = told.total;
    part("bar").max = told.total || 1;
    part("bar").value = told.done;
    const said = [];
    if (told.rate !== null) said.push(words.rate.replace("{n}", told.rate));
    if (told.seconds_left !== null) said.push(words.left.replace("{n}", clock(told.seconds_left)));
    part("speed").textContent = said.join(" · ");
    part("note").textContent = told.note;
    part("note").hidden = !told.note;
    for (const row of page.querySelectorAll("[data-count]")) {
      const number = told.counts[row.dataset.count];
      row.hidden = !number;
      row.lastElementChild.textContent = number;
    }
    if (told.state === "finished" || told.state === "cancelled") events.close();
  };
  events.addEventListener("ended", () => {
    events.close(); // the session is over
    location.reload(); // to the sign-in, and back here from there
  });
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) part("speed").textContent = words.stopped;
  };
})();
