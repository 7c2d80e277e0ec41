// A lane for each sound: its name, its waveform, its buttons. Bands can have a part selected.

import RegionsPlugin from "./vendor/regions.js";
import WaveSurfer from "./vendor/wavesurfer.js";
import { peaks } from "./player.js";

const nonce = document.querySelector("meta[name=csp-nonce]").content;

/** The scale of all lanes: 1 shows the whole song. `scrolled(second, lane)`: a lane was, so that this is its left edge. */
export const view = { zoom: 1, scrolled: () => {} };

/** A colour of the style sheet as a canvas takes it. */
function colour(name) {
  const probe = document.body.appendChild(document.createElement("span"));
  probe.style.color = `var(${name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export class Lane {
  /** `side`: "voice" or "band". `on` has the lane's events: heard, mute, solo, part, stem, stems, midi, mix, remove; `dragged` gives a file
   * of a kind as { address, name, type }. */
  constructor(parent, player, { name, side, title, note }, on) {
    this.name = name;
    this.side = side;
    this.title = title;
    this.player = player;
    this.growing = false;
    this.element = document.getElementById("lane").content.firstElementChild.cloneNode(true);
    this.element.dataset.side = side;
    this.element.dataset.name = name;
    this.element.setAttribute("aria-label", title);
    const part = (selector) => this.element.querySelector(selector);
    part(".lane-title").textContent = title;
    part(".lane-note").textContent = note;
    this.radio = part("input");
    this.radio.setAttribute("aria-label", `Listen to ${title}`);
    this.radio.addEventListener("change", () => on.heard(this));
    for (const event of ["mute", "solo", "part"]) {
      const button = part(`.${event}`);
      button.addEventListener("click", () => on[event](this));
      button.setAttribute("aria-label", `${button.textContent} ${event === "part" ? "of " : ""}${title}`);
    }
    part(".get-stem").addEventListener("click", () => on.stem(this));
    part(".get-stem").textContent = `↓ ${side === "voice" ? "Voice" : "Band"}`;
    part(".get-stem").setAttribute("aria-label", `Download ${title}`);
    part(".get-mix").addEventListener("click", () => on.mix(this));
    part(".get-mix").setAttribute("aria-label", `Download the mix of the voice and ${title}`);
    part(".get-stems").addEventListener("click", () => on.stems(this));
    part(".get-stems").setAttribute("aria-label", `Download drums, bass and others of the arrangement of ${title}`);
    part(".get-midi").addEventListener("click", () => on.midi(this));
    part(".get-midi").setAttribute("aria-label", `Download the arrangement of ${title} as MIDI`);
    part(".drop-lane").addEventListener("click", () => on.remove(this));
    part(".drop-lane").setAttribute("aria-label", `Remove ${title}`);
    for (const kind of ["stem", "stems", "midi", "mix"]) {
      const button = part(`.get-${kind}`);
      button.draggable = true;
      button.addEventListener("dragstart", (event) => {
        const file = on.dragged(this, kind);
        if (!file) return event.preventDefault();
        event.dataTransfer.effectAllowed = "copy";
        event.dataTransfer.setData("DownloadURL", `${file.type}:${file.name}:${file.address}`);
        event.dataTransfer.setData("text/uri-list", file.address);
      });
    }
    if (side === "voice") {
      for (const selector of ["input", ".part", ".get-stems", ".get-midi", ".get-mix", ".drop-lane"]) part(selector).remove();
    }
    parent.append(this.element);
    this.onPart = on.selected;
  }

  /** Draw the sound that the player has; all lanes follow its clock. */
  draw() {
    this.wave?.destroy();
    const container = this.element.querySelector(".wave");
    container.setAttribute("role", "img");
    container.setAttribute("aria-label", `Waveform of ${this.title}`);
    this.regions = this.side === "band" && !this.growing ? RegionsPlugin.create() : null;
    this.wave = WaveSurfer.create({
      container,
      media: this.player,
      ...this.sound(),
      height: 72,
      normalize: true,
      barWidth: 2,
      barGap: 1,
      barRadius: 2,
      barMinHeight: 1,
      ...this.colours(),
      cspNonce: nonce,
      minPxPerSec: this.pixels(),
      plugins: this.regions ? [this.regions] : [],
    });
    this.wave.on("scroll", (second) => view.scrolled(second, this));
    if (this.regions) {
      this.regions.enableDragSelection({ color: colour("--selection"), minLength: 0.2 });
      this.regions.on("region-created", (region) => {
        for (const other of this.regions.getRegions()) if (other !== region) other.remove();
        this.onPart(this, region.start, region.end);
      });
      this.regions.on("region-updated", (region) => this.onPart(this, region.start, region.end));
    }
  }

  /** Of a second, where it is closer than all in one. */
  pixels() {
    const { clientWidth } = this.element.querySelector(".wave");
    return view.zoom > 1 ? (view.zoom * clientWidth) / Math.max(1, this.player.duration) : 0;
  }

  zoom() {
    this.wave?.setOptions({ minPxPerSec: this.pixels() });
  }

  scrollTo(second) {
    const to = second * this.pixels();
    if (this.wave && Math.abs(this.wave.getScroll() - to) > 2) this.wave.setScroll(to);
  }

  /** Draw what has come since. */
  redraw() {
    this.wave.setOptions(this.sound());
  }

  sound() {
    const { duration } = this.player;
    return { peaks: [peaks(this.player.pieces(this.name), duration)], duration };
  }

  /** While it is made it can be heard, but not be taken or changed. */
  setGrowing(growing, note) {
    this.growing = growing;
    this.element.classList.toggle("growing", growing);
    this.element.setAttribute("aria-busy", growing);
    this.element.querySelector(".lane-note").textContent = note;
    for (const button of this.element.querySelectorAll(".lane-tools button")) button.disabled = growing;
  }

  colours() {
    return {
      waveColor: colour(`--${this.side}-soft`),
      progressColor: colour(`--${this.side}`),
      cursorColor: colour("--ink"),
    };
  }

  /** Show a part as selected, or none. */
  select(start, end) {
    const region = this.regions?.getRegions()[0];
    if (start === undefined) region?.remove();
    else if (region) region.setOptions({ start, end });
    else this.regions?.addRegion({ start, end, color: colour("--selection"), minLength: 0.2 });
  }

  remove() {
    this.wave?.destroy();
    this.element.remove();
  }
}
