// The lead sheet: beats, bars and chords as this page changes them, and the lane that shows them over the waveforms.

import { energyRow } from "./energy.js";
import { view } from "./lanes.js";

const BAR_PIXELS = 72; // at least, of a bar: so its chord can be read, and touched

/** What the server found or was told: `found` as it answered, and a chord's name for each beat of the bars. */
export class Sheet {
  constructor(found) {
    this.found = found;
    const { beats, downbeats, metre, chords } = found.lead_sheet;
    this.perBar = metre.beats;
    this.first = downbeats.length ? beats.findIndex((beat) => Math.abs(beat - downbeats[0]) < 0.006) : 0;
    const bars = downbeats.length || Math.ceil(beats.length / this.perBar);
    const step = beats.length > 1 ? beats.at(-1) - beats.at(-2) : 0.5;
    this.times = []; // of the beats of all bars, and the end of the last
    for (let i = 0; i <= bars * this.perBar; i++) {
      const place = this.first + i;
      this.times.push(place < beats.length ? beats[place] : beats.at(-1) + (place - beats.length + 1) * step);
    }
    this.cells = [];
    for (let beat = 0; beat < bars * this.perBar; beat++) {
      const middle = (this.times[beat] + this.times[beat + 1]) / 2;
      const at = chords.findIndex(([start, end]) => start <= middle && middle < end);
      this.cells.push(at < 0 ? "N.C." : found.chord_names[at]);
    }
  }

  get bars() {
    return this.cells.length / this.perBar;
  }

  /** Each chord within its bar: { beat, count, name, held }, `held` where it goes on from the bar before. */
  get runs() {
    const runs = [];
    this.cells.forEach((name, beat) => {
      const last = runs.at(-1);
      if (last && last.name === name && beat % this.perBar) last.count++;
      else runs.push({ beat, count: 1, name, held: last?.name === name });
    });
    return runs;
  }

  /** "Bar 3, beat 1". */
  place(beat) {
    return `Bar ${Math.floor(beat / this.perBar) + 1}, beat ${(beat % this.perBar) + 1}`;
  }

  beatAt(second) {
    const after = this.times.findIndex((time) => time > second);
    return Math.max(0, Math.min(this.cells.length - 1, (after < 0 ? this.times.length : after) - 1));
  }

  nearestBeat(second) {
    const apart = this.times.map((time) => Math.abs(time - second));
    return apart.indexOf(Math.min(...apart));
  }

  /** These cells as the server reads chords: "| Am . F . | G . . . |". */
  chart(cells = this.cells) {
    const bars = [];
    for (let bar = 0; bar < this.bars; bar++) {
      const words = cells.slice(bar * this.perBar, (bar + 1) * this.perBar);
      bars.push(words.map((word, i) => (i && word === words[i - 1] ? "." : word)).join(" "));
    }
    return `| ${bars.join(" | ")} |`;
  }

  /** The stretch in seconds where another sheet of the same beats has other chords; null where there is none. */
  differs(other) {
    const apart = this.cells.map((name, beat) => (name === other.cells[beat] ? -1 : beat)).filter((beat) => beat >= 0);
    if (!apart.length) return null;
    return { start: Math.max(0, this.times[apart[0]]), end: Math.min(this.found.seconds, this.times[apart.at(-1) + 1]) };
  }

  /** Names that fit what is sung at these beats, the likeliest first. */
  likely(beat, count) {
    const [start, end] = [this.times[beat], this.times[beat + count]];
    const sung = new Array(12).fill(0);
    for (const line of this.found.melody) {
      for (const [time, pitch] of line) if (start <= time && time < end) sung[((Math.round(pitch) % 12) + 12) % 12]++;
    }
    const own = new Set(this.cells);
    return choicesIn(this.found.lead_sheet.key)
      .map(({ name, notes, weight }) => ({ name, fit: weight + (own.has(name) ? 0.5 : 0) + 4 * share(sung, notes) }))
      .sort((one, other) => other.fit - one.fit)
      .map(({ name }) => name);
  }
}

const share = (sung, notes) => notes.reduce((sum, note) => sum + sung[note], 0) / Math.max(1, sung.reduce((a, b) => a + b, 0));
const FLATS = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"];
const SHARPS = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
const IN_MAJOR = [[0, ""], [5, ""], [7, ""], [9, "m"], [2, "m"], [4, "m"], [10, ""], [7, "7"]];
const IN_MINOR = [[0, "m"], [8, ""], [10, ""], [3, ""], [5, "m"], [7, "m"], [7, ""], [7, "7"]];

/** The chords of a key such as "A minor", as they are written in it. */
function choicesIn(key) {
  const [tonicName, mode] = (key || "C major").split(" ");
  const tonic = Math.max(FLATS.indexOf(tonicName), SHARPS.indexOf(tonicName));
  const major = mode === "minor" ? (tonic + 3) % 12 : tonic;
  const names = [5, 10, 3, 8, 1, 6].includes(major) ? FLATS : SHARPS;
  return (mode === "minor" ? IN_MINOR : IN_MAJOR).map(([above, suffix], i) => {
    const root = (tonic + above) % 12;
    const notes = [0, suffix === "m" ? 3 : 4, 7, ...(suffix === "7" ? [10] : [])].map((one) => (root + one) % 12);
    return { name: names[root] + suffix, notes, weight: -0.15 * i };
  });
}

/** Draws a sheet into an element and follows a player. `on`: { chord(run), border(run, beat), firstBeat(second),
 * energy(text) }. */
export class SheetLane {
  constructor(element, player, on) {
    Object.assign(this, { element, player, on });
    this.page = element.querySelector(".sheet-page");
    this.scroller = this.page.parentElement;
    this.energy = null; // points, while it is drawn
    player.addEventListener("timeupdate", () => this.follow());
    this.scroller.addEventListener("scroll", () => {
      if (this.sheet) view.scrolled((this.scroller.scrollLeft / this.page.offsetWidth) * this.seconds, this);
    });
    this.page.addEventListener("click", (event) => {
      if (!event.target.closest("button, .border, .first-beat, .energy-row")) player.currentTime = this.secondAt(event.clientX);
    });
  }

  get seconds() {
    return this.sheet.found.seconds;
  }

  percent(second) {
    return `${(100 * Math.max(0, Math.min(1, second / this.seconds))).toFixed(3)}%`;
  }

  secondAt(x) {
    const box = this.page.getBoundingClientRect();
    return ((x - box.left) / box.width) * this.seconds;
  }

  draw(sheet) {
    this.sheet = sheet;
    const { page } = this;
    page.textContent = "";
    this.zoom();
    page.append(this.melody());
    sheet.times.forEach((time, beat) => {
      if (time >= this.seconds) return;
      const mark = page.appendChild(document.createElement("span"));
      mark.className = beat % sheet.perBar ? "beat" : "bar";
      mark.style.left = this.percent(time);
      if (beat % sheet.perBar === 0) mark.textContent = beat / sheet.perBar + 1;
      mark.setAttribute("aria-hidden", "true");
    });
    this.chords = sheet.runs.filter((run) => sheet.times[run.beat] < this.seconds).map((run) => this.chord(run));
    this.first = this.handle("first-beat", "First beat: drag it", sheet.times[0], (second) => this.on.firstBeat(Math.max(0, second)));
    page.classList.toggle("drawing", Boolean(this.energy));
    if (this.energy) {
      this.row = page.appendChild(energyRow(this, this.energy, (text) => this.on.energy(text)));
    }
    this.head = page.appendChild(document.createElement("span"));
    this.head.className = "playhead";
    this.follow();
  }

  zoom() {
    if (!this.sheet) return;
    const { sheet } = this;
    const shownBars = (sheet.bars * this.seconds) / Math.max(1, sheet.times.at(-1) - sheet.times[0]);
    this.page.style.minWidth = `${Math.ceil(Math.max(shownBars * BAR_PIXELS, view.zoom * this.scroller.clientWidth))}px`;
  }

  scrollTo(second) {
    if (!this.sheet) return;
    const to = (second / this.seconds) * this.page.offsetWidth;
    if (Math.abs(this.scroller.scrollLeft - to) > 2) this.scroller.scrollLeft = to;
  }

  melody() {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const pitches = this.sheet.found.melody.flat().map(([, pitch]) => pitch);
    const [low, high] = pitches.length ? [Math.min(...pitches) - 1, Math.max(...pitches) + 1] : [0, 1];
    svg.setAttribute("viewBox", `0 ${-high} ${this.seconds} ${high - low}`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    for (const line of this.sheet.found.melody) {
      const path = svg.appendChild(document.createElementNS(svg.namespaceURI, "polyline"));
      path.setAttribute("points", line.map(([time, pitch]) => `${time},${-pitch}`).join(" "));
    }
    return svg;
  }

  chord(run) {
    const { sheet } = this;
    const [start, end] = [sheet.times[run.beat], Math.min(this.seconds, sheet.times[run.beat + run.count])];
    const button = this.page.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = run.held ? "chord held" : "chord";
    button.textContent = run.name;
    // A last beat may be cut short by the recording's end: still wide enough for a finger.
    button.style.left = `min(${this.percent(start)}, 100% - 44px)`;
    button.style.width = end < this.seconds ? this.percent(end - start) : `max(${this.percent(end - start)}, 44px)`;
    button.setAttribute("aria-label", `${run.name}, ${sheet.place(run.beat)}: change it`);
    button.addEventListener("click", () => this.on.chord(run, button));
    if (run.beat && !run.held) {
      this.handle("border", "", start, (second) => this.on.border(run, sheet.nearestBeat(second)));
    }
    return { button, start, end };
  }

  /** Something that is dragged in time. By keys the chord's own form does the same. */
  handle(kind, title, second, dropped) {
    const handle = this.page.appendChild(document.createElement("span"));
    handle.className = kind;
    handle.title = title;
    handle.setAttribute("aria-hidden", "true");
    handle.style.left = this.percent(second);
    handle.addEventListener("pointerdown", (down) => {
      handle.setPointerCapture(down.pointerId);
      down.preventDefault();
      const move = (event) => (handle.style.left = this.percent(this.secondAt(event.clientX)));
      handle.addEventListener("pointermove", move);
      handle.addEventListener("pointerup", (up) => {
        handle.removeEventListener("pointermove", move);
        if (Math.abs(up.clientX - down.clientX) > 3) dropped(this.secondAt(up.clientX));
        else handle.style.left = this.percent(second);
      }, { once: true });
    });
    return handle;
  }

  follow() {
    if (!this.sheet) return;
    const now = this.player.currentTime;
    this.head.style.left = this.percent(now);
    for (const { button, start, end } of this.chords) button.classList.toggle("now", this.player.playing && start <= now && now < end);
    const { scroller } = this;
    const x = (now / this.seconds) * this.page.offsetWidth;
    if (view.zoom === 1 && this.player.playing && (x < scroller.scrollLeft || x > scroller.scrollLeft + 0.8 * scroller.clientWidth)) {
      scroller.scrollLeft = x - 0.1 * scroller.clientWidth;
    }
  }
}
