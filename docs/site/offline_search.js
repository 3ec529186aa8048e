// SPDX-License-Identifier: BSL-1.0
// Lets the search work in pages that were opened from a folder. A browser refuses two things there:
// to fetch the index, which is loaded as a script instead, and workers, for which a hidden frame
// stands in. Pages from a server do without.
if (location.protocol === "file:") {
  const base = new URL(".", document.currentScript.src);

  const index = new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("search/search_index.js", base);
    script.onload = () => resolve(window.ringbell_index);
    script.onerror = reject;
    document.head.append(script);
  });
  window.__search = { index }; // the theme looks here first

  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = frame.contentWindow;
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.loaded = new Promise((resolve) => {
        const script = inside.document.createElement("script");
        script.src = url;
        script.onload = () => resolve(inside);
        inside.document.head.append(script);
      });
    }
    postMessage(data) {
      this.loaded.then((inside) => {
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      });
    }
  };
}
