// The demo page keeps itself up to date: the server says that something changed, the page fetches its middle again.
"use strict";
(() => {
  let live = document.getElementById("live");
  const events = new EventSource("/demo/news?seen=" + encodeURIComponent(live.dataset.news));
  events.onmessage = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (fresh && fresh.innerHTML !== live.innerHTML) {
      const focused = document.activeElement && document.activeElement.getAttribute("href");
      live.replaceWith(fresh);
      live = fresh;
      if (focused) for (const link of live.querySelectorAll("a")) if (link.getAttribute("href") === focused) link.focus({ preventScroll: true });
    }
  };
})();
