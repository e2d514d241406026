// The search answers as one types: a list under the field, walked by arrow keys. "/" leads to it from everywhere.
"use strict";
(() => {
  const QUIET_MS = 150;

  const answers = (field, place) => {
    const part = document.createElement("div");
    const said = document.createElement("span");
    part.className = "found";
    part.hidden = true;
    said.className = "hidden";
    said.setAttribute("aria-live", "polite");
    field.after(part, said);
    field.setAttribute("role", "combobox");
    field.setAttribute("autocomplete", "off");
    field.setAttribute("aria-autocomplete", "list");
    field.setAttribute("aria-controls", `found-${place}`);
    field.setAttribute("aria-expanded", "false");

    let timer = 0;
    let asking = null;
    let at = -1;
    const options = () => [...part.querySelectorAll("[role=option]")];
    const choose = (number) => {
      at = number;
      options().forEach((one, place) => one.setAttribute("aria-selected", String(place === at)));
      const chosen = options()[at];
      chosen?.scrollIntoView({ block: "nearest" });
      if (chosen) field.setAttribute("aria-activedescendant", chosen.id);
      else field.removeAttribute("aria-activedescendant");
    };
    const close = () => {
      clearTimeout(timer);
      asking?.abort();
      part.hidden = true;
      field.setAttribute("aria-expanded", "false");
      choose(-1);
    };
    const look = async () => {
      asking?.abort(); // an older question is of no use
      const mine = (asking = new AbortController());
      try {
        const url = `${field.dataset.find}?q=${encodeURIComponent(field.value.trim())}`;
        const answer = await fetch(url, { credentials: "same-origin", redirect: "error", signal: mine.signal });
        if (!answer.ok) throw new Error(String(answer.status));
        const text = await answer.text();
        if (mine.signal.aborted) return;
        part.innerHTML = text; // escaped by the server, as every page is
      } catch {
        if (!mine.signal.aborted) close(); // the form does the same without a script
        return;
      }
      const list = part.firstElementChild;
      list.id = `found-${place}`;
      options().forEach((one, number) => (one.id = `found-${place}-${number}`));
      said.textContent = list.dataset.said;
      part.hidden = !options().length;
      field.setAttribute("aria-expanded", String(!part.hidden));
      choose(-1);
    };
    field.addEventListener("input", (event) => {
      clearTimeout(timer);
      if (!field.value.trim()) {
        said.textContent = "";
        close();
      } else if (!event.isComposing) timer = setTimeout(look, QUIET_MS);
    });
    field.addEventListener("compositionend", () => {
      clearTimeout(timer); // an input method has written its characters
      timer = setTimeout(look, QUIET_MS);
    });
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return; // the keys are the input method's
      const down = event.key === "ArrowDown";
      if (event.key === "Escape" && !part.hidden) {
        event.preventDefault(); // the words stay; a second one takes them away, as browsers do
        close();
      } else if ((down || event.key === "ArrowUp") && part.hidden && field.value.trim()) {
        event.preventDefault();
        look();
      } else if ((down || event.key === "ArrowUp") && !part.hidden) {
        event.preventDefault();
        const number = options().length;
        choose((Math.max(at, down ? -1 : 0) + (down ? 1 : -1) + number) % number);
      } else if (event.key === "Enter" && at >= 0 && !part.hidden) {
        event.preventDefault();
        options()[at].querySelector("a").click();
      }
    });
    field.addEventListener("blur", (event) => {
      if (!part.contains(event.relatedTarget)) close();
    });
    part.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  };

  document.addEventListener("DOMContentLoaded", () => {
    const fields = [...document.querySelectorAll("input[data-find]")];
    fields.forEach(answers);
    document.addEventListener("keydown", (event) => {
      const typing = event.target.closest("input, textarea, select, [contenteditable]");
      if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey || !fields.length) return;
      event.preventDefault();
      fields[0].focus();
      fields[0].select();
    });
  });
})();
