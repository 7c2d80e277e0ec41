// A lane for each sound: its name, its waveform, its buttons. Bands can have a part selected.

import RegionsPlugin from "./vendor/regions.js";
import WaveSurfer from "./vendor/wavesurfer.js";
import { peaks } from "./player.js";

const nonce = document.querySelector("meta[name=csp-nonce]").content;

/** A colour of the style sheet as a canvas takes it. */
function colour(name) {
  const probe = document.body.appendChild(document.createElement("span"));
  probe.style.color = `var(${name})`;
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

export class Lane {
  /** `side`: "voice" or "band". `on` has the lane's events: heard, mute, solo, part, stem, mix, remove. */
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
    part(".drop-lane").addEventListener("click", () => on.remove(this));
    part(".drop-lane").setAttribute("aria-label", `Remove ${title}`);
    if (side === "voice") {
      for (const selector of ["input", ".part", ".get-mix", ".drop-lane"]) part(selector).remove();
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
      plugins: this.regions ? [this.regions] : [],
    });
    if (this.regions) {
      this.regions.enableDragSelection({ color: colour("--selection"), minLength: 0.2 });
      this.regions.on("region-created", (region) => {
        for (const other of this.regions.getRegions()) if (other !== region) other.remove();
        this.onPart(this, region.start, region.end);
      });
      this.regions.on("region-updated", (region) => this.onPart(this, region.start, region.end));
    }
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
