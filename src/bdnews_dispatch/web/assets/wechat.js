// The digest page inside WeChat: a share card, and the offer of the next issue. Reads its data from #wechat.
(() => {
  "use strict";
  const data = document.getElementById("wechat");
  if (!data || typeof wx === "undefined") return;
  const { appid, timestamp, nonce, signature, title, description, link, picture } = data.dataset;
  wx.config({
    debug: false,
    appId: appid,
    timestamp: Number(timestamp),
    nonceStr: nonce,
    signature,
    jsApiList: ["updateAppMessageShareData", "updateTimelineShareData"],
    openTagList: ["wx-open-subscribe"],
  });
  wx.ready(() => {
    wx.updateAppMessageShareData({ title, desc: description, link, imgUrl: picture });
    wx.updateTimelineShareData({ title, link, imgUrl: picture });
    const offer = document.getElementById("next");
    if (!offer) return;
    offer.hidden = false;
    const told = document.getElementById("next-told");
    const say = (words) => { told.textContent = words; told.hidden = false; };
    const tag = offer.querySelector("wx-open-subscribe");
    tag.addEventListener("success", (event) => {
      let accepted = false;
      try {
        const details = JSON.parse(event.detail.subscribeDetails);
        accepted = Object.values(details).some((one) => JSON.parse(one).status === "accept");
      } catch { accepted = false; }
      say(accepted ? told.dataset.accepted : told.dataset.refused);
    });
    tag.addEventListener("error", () => say(told.dataset.failed));
  });
})();
