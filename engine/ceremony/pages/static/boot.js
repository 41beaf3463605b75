// Runs before the page is shown: scripts are on. When one of them cannot be loaded, the page without scripts shows.
document.documentElement.classList.add("js");
window.addEventListener(
  "error",
  (event) => {
    if (event.target instanceof HTMLScriptElement) document.documentElement.classList.remove("js");
  },
  true,
);
