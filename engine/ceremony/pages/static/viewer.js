// Shows PDF documents page by page: a canvas, the text for selecting and reading aloud, and a layer for fields.
// Only pages near the window are drawn, and pages far from it are let go again.
import { fill, make } from "./page.js";

const MOST_PIXELS = 16_000_000;
const CSS_PER_POINT = 96 / 72;
const ZOOMS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3, 4];

export class Viewer {
  constructor(config, holder, words) {
    this.config = config;
    this.holder = holder;
    this.words = words;
    this.pages = [];
    this.zoom = null; // null: as wide as fits
    this.onScale = () => {};
    this.onPage = () => {};
  }

  async open(documents) {
    for (const document of documents) this.#lay(document, documents.length > 1);
    this.#scale();
    const loader = import(this.config.module);
    this.watcher = new IntersectionObserver((entries) => this.#near(entries), { rootMargin: "800px 0px" });
    this.sight = new IntersectionObserver((entries) => this.#seen(entries), {
      threshold: [0, 0.25, 0.5, 0.75, 1],
    });
    let width = this.holder.clientWidth;
    new ResizeObserver(() => {
      if (this.zoom === null && Math.abs(this.holder.clientWidth - width) > 1) {
        width = this.holder.clientWidth;
        this.#scale();
      }
    }).observe(this.holder);
    let pdfjs;
    try {
      pdfjs = await loader;
      pdfjs.GlobalWorkerOptions.workerSrc = this.config.worker;
    } catch {
      this.#fail();
      return;
    }
    this.pdfjs = pdfjs;
    const root = this.config.module.replace(/[^/]*$/, "");
    await Promise.all(
      documents.map(async (document) => {
        const pages = this.pages.filter((page) => page.document === document.number);
        try {
          const pdf = await pdfjs.getDocument({
            url: document.url,
            cMapUrl: `${root}cmaps/`,
            cMapPacked: true,
            standardFontDataUrl: `${root}standard_fonts/`,
            wasmUrl: `${root}wasm/`,
            useWasm: false, // the page's policy runs none; the script beside it draws the same
            isEvalSupported: false,
            enableXfa: false,
            stopAtErrors: false,
          }).promise;
          for (const page of pages) {
            page.pdf = pdf;
            this.watcher.observe(page.element);
            this.sight.observe(page.element);
          }
        } catch {
          for (const page of pages) this.#failPage(page);
        }
      }),
    );
  }

  page(document, number) {
    return this.pages.find((page) => page.document === document && page.number === number);
  }

  inSight() {
    return this.pages.reduce((best, page) => ((page.share || 0) > (best.share || 0) ? page : best), this.pages[0]);
  }

  zoomBy(direction) {
    const now = this.scale / CSS_PER_POINT;
    const next =
      direction > 0
        ? ZOOMS.find((zoom) => zoom > now + 0.02)
        : ZOOMS.findLast((zoom) => zoom < now - 0.02);
    if (next) this.setZoom(next);
  }

  setZoom(zoom) {
    const page = this.inSight();
    this.zoom = zoom;
    this.#scale();
    if (page) page.element.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  percent() {
    return Math.round((this.scale / CSS_PER_POINT) * 100);
  }

  async drawAll() {
    for (const page of this.pages) {
      page.near = true;
      await this.#draw(page);
    }
  }

  async drawSmall(page, canvas, width) {
    if (!page.pdf) return;
    const source = await page.pdf.getPage(page.number);
    const own = source.getViewport({ scale: 1 });
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const viewport = source.getViewport({ scale: (width / own.width) * ratio });
    canvas.width = Math.floor(viewport.width);
    canvas.height = Math.floor(viewport.height);
    await source.render({ canvas, viewport }).promise;
  }

  #lay(document, isNamed) {
    if (isNamed) this.holder.append(make("h2", { class: "document-name", dir: "auto" }, document.name));
    for (const { number, width, height } of document.pages) {
      const label = fill(this.words.page_of_document, {
        document: document.name,
        number,
        of: document.pages.length,
      });
      const wait = make("p", { class: "page__wait" }, this.words.loading);
      const fields = make("div", { class: "fields" });
      const section = make(
        "section",
        { class: "page", id: `page-${document.number}-${number}`, "aria-label": label, tabindex: "-1" },
        wait,
        fields,
      );
      this.holder.append(section);
      this.pages.push({ document: document.number, number, width, height, element: section, fields, wait, label });
    }
  }

  #scale() {
    const widest = Math.max(...this.pages.map((page) => page.width), 1);
    const room = Math.max(this.holder.clientWidth, 200);
    this.scale = this.zoom === null ? Math.min(room / widest, CSS_PER_POINT * 1.15) : this.zoom * CSS_PER_POINT;
    for (const page of this.pages) {
      const { style } = page.element;
      style.width = `${page.width * this.scale}px`;
      style.height = `${page.height * this.scale}px`;
      if (page.near) this.#draw(page);
    }
    this.onScale(this.scale);
  }

  #near(entries) {
    for (const entry of entries) {
      const page = this.pages.find((one) => one.element === entry.target);
      page.near = entry.isIntersecting;
      if (page.near) this.#draw(page);
      else this.#drop(page);
    }
  }

  #seen(entries) {
    for (const entry of entries) {
      const page = this.pages.find((one) => one.element === entry.target);
      page.share = entry.intersectionRect.height;
    }
    this.onPage(this.inSight());
  }

  #drop(page) {
    page.task?.cancel();
    page.drawn = null;
    page.canvas?.remove();
    page.text?.remove();
    page.canvas = page.text = null;
  }

  async #draw(page) {
    const wanted = `${this.scale}`;
    if (!page.pdf || page.drawn === wanted) return;
    page.drawn = wanted;
    page.task?.cancel();
    try {
      const source = await page.pdf.getPage(page.number);
      if (page.drawn !== wanted) return;
      const own = source.getViewport({ scale: 1 });
      const scale = (page.width * this.scale) / own.width;
      const viewport = source.getViewport({ scale });
      const most = Math.sqrt(MOST_PIXELS / (viewport.width * viewport.height));
      const ratio = Math.min(window.devicePixelRatio || 1, most);
      const sharp = source.getViewport({ scale: scale * ratio });
      const canvas = make("canvas", { "aria-hidden": "true" });
      canvas.width = Math.floor(sharp.width);
      canvas.height = Math.floor(sharp.height);
      page.task = source.render({ canvas, viewport: sharp });
      await page.task.promise;
      if (page.drawn !== wanted) return;
      page.canvas?.remove();
      page.text?.remove();
      page.wait.remove();
      page.canvas = canvas;
      page.text = make("div", { class: "textLayer" });
      const { style } = page.element;
      style.setProperty("--total-scale-factor", String(scale));
      style.setProperty("--scale-round-x", "1px");
      style.setProperty("--scale-round-y", "1px");
      page.element.prepend(canvas, page.text);
      await new this.pdfjs.TextLayer({
        textContentSource: source.streamTextContent(),
        container: page.text,
        viewport,
      }).render();
      page.element.dataset.drawn = "yes";
    } catch (problem) {
      if (problem?.name === "RenderingCancelledException" || problem?.name === "AbortException") return;
      if (page.drawn === wanted) this.#failPage(page);
    }
  }

  #fail() {
    for (const page of this.pages) this.#failPage(page);
  }

  #failPage(page) {
    page.wait.textContent = this.words.load_failed;
    if (!page.wait.isConnected) page.element.prepend(page.wait);
    page.element.dataset.drawn = "failed";
  }
}
