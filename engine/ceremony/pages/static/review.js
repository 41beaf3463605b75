// The last page: the reader's time zone, and the place, when the reader wants it to be known.
import { element, island } from "./page.js";

const { words } = island("page");
const form = element("finish-form");

if (form) {
  form.elements.time_zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone || "";
  const share = element("share-place");
  const state = element("place-state");
  share.addEventListener("change", () => {
    form.elements.geolocation.value = "";
    state.textContent = "";
    if (!share.checked) return;
    state.textContent = words.asking;
    const refuse = () => {
      share.checked = false;
      state.textContent = words.refused;
    };
    if (!navigator.geolocation) {
      refuse();
      return;
    }
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => {
        if (!share.checked) return;
        form.elements.geolocation.value = `${coords.latitude.toFixed(4)},${coords.longitude.toFixed(4)}`;
        state.textContent = words.shared;
      },
      refuse,
      { timeout: 10_000, maximumAge: 600_000 },
    );
  });
  // Twice is once: the key that goes with it says so to the server as well.
  form.addEventListener("submit", () => {
    setTimeout(() => {
      element("finish").disabled = true;
    });
  });
  window.addEventListener("pageshow", () => {
    element("finish").disabled = false;
  });
}
