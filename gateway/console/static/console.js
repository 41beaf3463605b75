// Comfort only: copying, and parts of a page that refresh themselves. Everything works without it.

const said = document.body.dataset;

function announce(text) {
  const place = document.getElementById("announce");
  place.textContent = "";
  setTimeout(() => {
    place.textContent = text;
  }, 60);
}

function addCopyButtons(root) {
  for (const place of root.querySelectorAll("[data-copyable]:not([data-ready])")) {
    place.dataset.ready = "yes";
    const text = (place.querySelector("code") || place).textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = said.copy;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text);
      button.textContent = said.copied;
      announce(said.copied);
      setTimeout(() => {
        button.textContent = said.copy;
      }, 2000);
    });
    place.append(button);
  }
}

function isBusy() {
  const selection = getSelection();
  const inside = document.activeElement?.closest("[data-live-part]");
  return document.hidden || inside !== null && inside !== undefined || (selection && !selection.isCollapsed);
}

async function refresh() {
  const answer = await fetch(location.href, { cache: "no-store", credentials: "same-origin" });
  if (!answer.ok) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  let changed = false;
  for (const part of document.querySelectorAll("[data-live-part]")) {
    const next = fresh.querySelector(`[data-live-part="${part.dataset.livePart}"]`);
    // Tokens of forms differ in every copy of a page: what a reader sees decides.
    if (!next || next.textContent === part.dataset.text) continue;
    part.dataset.text = next.textContent;
    part.replaceChildren(...next.childNodes);
    addCopyButtons(part);
    changed = true;
  }
  if (changed) announce(said.updated);
  return fresh.querySelector('[data-live="on"]') !== null;
}

addCopyButtons(document);

if (document.querySelector('[data-live="on"]')) {
  for (const part of document.querySelectorAll("[data-live-part]")) part.dataset.text = part.textContent;
  const look = async () => {
    let goesOn = true;
    if (!isBusy()) goesOn = await refresh().catch(() => true);
    if (goesOn) setTimeout(look, 2500);
    else document.querySelector(".live")?.remove();
  };
  setTimeout(look, 1000);
}

// On a phone sections lie side by side: the one that is open is shown.
for (const open of document.querySelectorAll(".nav [aria-current], .tabs [aria-current]")) {
  const row = open.closest("nav");
  row.scrollLeft = open.offsetLeft - row.offsetLeft - (row.clientWidth - open.offsetWidth) / 2;
}

// What went wrong is where a reader begins.
document.getElementById("problem")?.focus();
