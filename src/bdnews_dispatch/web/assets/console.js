// The console's pages that move: a part that is fetched again, a time that runs out, a text seen as it is written.
"use strict";
(() => {
  const fetched = async (url, options) => {
    const answer = await fetch(url, { credentials: "same-origin", redirect: "error", ...options });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.text();
  };

  for (const part of document.querySelectorAll("[data-part]")) {
    let timer = 0;
    const watching = part.dataset.every ? { headers: { "X-Watching": "yes" } } : {}; // keeps no session alive
    const look = async () => {
      try {
        part.innerHTML = await fetched(part.dataset.part, watching);
      } catch {
        // The numbers above say that the connection is lost, and the next look may find it again; or there is none.
        for (const words of part.querySelectorAll("[data-failed]")) words.hidden = false;
        return;
      }
      if (part.querySelector("[data-over]")) {
        clearInterval(timer);
        location.reload(); // its buttons are others now
      }
    };
    if (part.dataset.every) timer = setInterval(look, Number(part.dataset.every) * 1000);
    else look(); // what takes too long for the page itself
  }

  for (const part of document.querySelectorAll("[data-seconds]")) {
    const ends = Date.now() + Number(part.dataset.seconds) * 1000;
    const timer = setInterval(() => {
      const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
      part.textContent = left;
      if (left === 0) {
        clearInterval(timer);
        location.reload();
      }
    }, 500);
  }

  for (const form of document.querySelectorAll("form[data-preview]")) {
    const shown = document.getElementById(form.dataset.into);
    let timer = 0;
    let asked = 0;
    const look = async () => {
      const mine = ++asked;
      try {
        const text = await fetched(form.dataset.preview, { method: "POST", body: new FormData(form) });
        if (mine === asked) shown.innerHTML = text; // an older answer may come later
      } catch {
        // what is shown stays; the button does the same without a script
      }
    };
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(look, 400);
    });
  }
})();
