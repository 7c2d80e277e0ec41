// The lead sheet is seen, heard as a click, and changed: chords, tempo, key, style; and every change can be undone.

import { clickTrack } from "./click.js";
import { pointsOf } from "./energy.js";
import * as service from "./service.js";
import { Sheet, SheetLane } from "./sheet.js";
import { EVEN, player, remember, state } from "./state.js";
import { $, calm, focusOn, guarded, say } from "./telling.js";

const KEYS = ["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"].flatMap((one) => [`${one} major`, `${one} minor`]);
const TAPS = 8;
const OFF = -60; // decibels of a player whose level is at its least

let lane = null;
let chosen = null; // the chord that is being changed
let played = async () => {}; // what to do when the band is to play otherwise
let taps = [];
let asking = null; // AbortController of the lead sheet that is asked for

/** `onChange()` is called when the band is to play otherwise, `onAgain(start, end)` when a place is to be played anew.
 * Gives the lane. */
export function setUpSheet(onChange, onAgain) {
  played = onChange;
  lane = new SheetLane($("sheet"), player, {
    chord: chooseChord,
    border: guarded((run, beat) => moveBorder(run, beat)),
    firstBeat: guarded((second) => lock({ first_beat: second.toFixed(3) })),
    energy: guarded((text) => lock({ energy: text })),
  });
  for (const key of KEYS) $("key").add(new Option(key));
  const numbers = { bpm: "bpm", "first-beat": "first_beat" };
  for (const [id, name] of Object.entries(numbers)) {
    $(id).addEventListener("change", guarded(() => $(id).reportValidity() && lock({ [name]: $(id).value })));
  }
  for (const name of ["metre", "key", "style", "energy"]) {
    $(name).addEventListener("change", guarded(() => lock({ [name]: $(name).value })));
  }
  $("draw-energy").addEventListener("click", () => drawEnergy(!lane.energy));
  for (const level of levels()) {
    level.addEventListener("input", sayLevels);
    level.addEventListener("change", guarded(() => lock({ part_levels: levelsText() })));
  }
  $("again").addEventListener("click", guarded(async () => {
    const { times, found } = state.sheet;
    const [start, end] = [times[chosen.beat], Math.min(found.seconds, times[chosen.beat + chosen.count])];
    leaveChord();
    await onAgain(start, end);
  }));
  $("half").addEventListener("click", guarded(() => lock({ bpm: $("bpm").value / 2 })));
  $("double").addEventListener("click", guarded(() => lock({ bpm: $("bpm").value * 2 })));
  $("tap").addEventListener("click", guarded(tap));
  $("click").addEventListener("click", () => setClicking(!player.clicking));
  $("undo").addEventListener("click", guarded(undo));
  $("chord-form").addEventListener("submit", guarded(async (event) => {
    event.preventDefault();
    await setChord($("chord").value.trim());
  }));
  for (const [id, step] of [["earlier", -1], ["later", 1]]) {
    $(id).addEventListener("click", guarded(async () => {
      const run = chosen;
      if (await moveBorder(run, run.beat + step)) reopen(run.beat + step);
    }));
  }
  $("chord-close").addEventListener("click", leaveChord);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=range]):not([type=radio]), textarea, dialog");
    if (!typing && (event.ctrlKey || event.metaKey) && event.key === "z" && !$("undo").disabled) {
      event.preventDefault();
      guarded(undo)();
    }
  });
  return lane;
}

const levels = () => [...document.querySelectorAll("#levels input")];

/** "" where all are even. */
function levelsText() {
  const text = levels().map((one) => `${one.dataset.part}=${one.value === one.min ? OFF : one.value}`).join(", ");
  return text === EVEN ? "" : text;
}

function sayLevels() {
  for (const one of levels()) one.setAttribute("aria-valuetext", one.value === one.min ? "off" : `${one.value} dB`);
}

function showLevels() {
  const given = new Map((state.given.part_levels ?? EVEN).split(", ").map((word) => word.split("=")));
  for (const one of levels()) one.value = given.get(one.dataset.part) ?? 0;
  sayLevels();
}

function drawEnergy(on) {
  lane.energy = on ? energyPoints() : null;
  $("draw-energy").setAttribute("aria-pressed", on);
  if (state.sheet) lane.draw(state.sheet);
  if (on) lane.row?.focusBar(0);
}

function energyPoints() {
  return state.given.energy ? pointsOf(state.given.energy) : state.sheet.found.lead_sheet.energy;
}

export function fillStyles(styles) {
  while ($("style").length > 1) $("style").remove(1);
  for (const style of styles) $("style").add(new Option(style));
}

/** What an order says of the lead sheet: what is seen is played. */
export function sheetFields() {
  const { given } = state;
  if (!state.sheet) return { ...given };
  const style = given.style ?? "";
  return {
    lead_sheet: JSON.stringify({ ...state.sheet.found.lead_sheet, style }), energy: given.energy ?? "", part_levels: given.part_levels ?? "",
  };
}

/** Ask what the band would play of this voice, quietly: without an answer, a band is made all the same. */
export async function findSheet() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const { voice } = state;
  if (!voice || voice.separate) return;
  const found = await service.leadSheet({ ...voiceFields(), ...state.given }, signal);
  signal.throwIfAborted();
  if (state.voice === voice) show(new Sheet(found));
}

export function stopAsking() {
  asking?.abort();
}

function voiceFields() {
  const { voice } = state;
  return voice.of ? { reference: voice.of } : { recording: voice.file };
}

/** What a band was played from: `seen` where that is the same; null where there is nothing. */
export async function playedSheet(job, variation, seen, signal) {
  const played = job.lead_sheets[variation];
  if (!played) return null;
  if (seen && JSON.stringify(played.chords) === JSON.stringify(seen.found.lead_sheet.chords)) return seen;
  const found = await service.leadSheet({ lead_sheet: JSON.stringify(played) }, signal);
  const { melody } = seen?.found ?? (await service.leadSheet({ reference: job.id }, signal));
  const sheet = new Sheet({ ...found, melody, seconds: job.seconds });
  return seen && seen.cells.length === sheet.cells.length && !seen.differs(sheet) ? seen : sheet;
}

/** A band's lead sheet in place of what is seen; `kept`: what is seen can be had again by Undo. */
export function see(band, kept) {
  if (kept) state.undo.push({ sheet: state.sheet, given: state.given, heard: state.other });
  state.given = band.given ?? {};
  show(band.sheet);
}

export function show(sheet) {
  state.sheet = sheet;
  leaveChord();
  $("sheet").hidden = false;
  const { lead_sheet } = sheet.found;
  const bar = lane.row?.focusedBar() ?? -1;
  if (lane.energy) lane.energy = energyPoints();
  lane.draw(sheet);
  if (lane.energy && bar >= 0) lane.row.focusBar(bar);
  $("bpm").value = Number(lead_sheet.beats_per_minute?.toFixed(1));
  $("first-beat").value = sheet.times[0].toFixed(2);
  const unsure = new Set(lead_sheet.unsure);
  const { beats, division, unit } = lead_sheet.metre;
  const metre = division === 3 ? `${3 * beats}/${unit ?? 8}` : `${beats}/${unit ?? 4}`;
  $("metre").options[0].text = `as sung (${metre})`;
  $("key").options[0].text = lead_sheet.key ? `as sung (${lead_sheet.key}${unsure.has("key") ? "?" : ""})` : "as sung";
  for (const option of $("energy").querySelectorAll("[data-drawn]")) option.remove();
  const { energy } = state.given;
  if (energy?.includes(":")) {
    $("energy").add(new Option("as drawn", energy));
    $("energy").lastElementChild.dataset.drawn = "";
  }
  for (const name of ["metre", "key", "style", "energy"]) $(name).value = state.given[name] ?? "";
  showLevels();
  const doubts = [...unsure].filter((one) => one !== "beats").join(", ");
  $("sheet-note").textContent = [doubts && `Not sure: ${doubts}.`, ...sheet.found.remarks].filter(Boolean).join(" ");
  if (player.context_) player.setClick(clickTrack(player.context, sheet, sheet.found.seconds));
  $("undo").disabled = !state.undo.length;
  remember();
}

export function hideSheet() {
  asking?.abort();
  state.sheet = null;
  state.given = {};
  state.undo = [];
  setClicking(false);
  drawEnergy(false);
  leaveChord();
  $("sheet").hidden = true;
}

function setClicking(on) {
  player.clicking = on;
  $("click").setAttribute("aria-pressed", on);
  player.setGains();
}

/** Give what holds, and see what is found around it. An empty value is found again. */
async function lock(values) {
  calm();
  const before = { sheet: state.sheet, given: state.given, heard: player.heard };
  const given = { ...state.given, ...values };
  for (const name of Object.keys(given)) if (given[name] === "") delete given[name];
  state.given = given;
  if (Object.keys(values).every((name) => ["style", "energy", "part_levels"].includes(name))) {
    state.undo.push(before);
    show(state.sheet); // the arrangement alone is another
    guarded(played)();
    return;
  }
  try {
    const found = await service.leadSheet({ ...voiceFields(), ...given });
    state.undo.push(before);
    show(new Sheet(found));
    const { beats_per_minute, key } = found.lead_sheet;
    say(`${Math.round(beats_per_minute)} beats a minute, ${key}`);
  } catch (error) {
    state.given = before.given;
    if (state.sheet) show(state.sheet);
    throw error;
  }
}

async function tap() {
  const now = performance.now();
  if (now - (taps.at(-1) ?? 0) > 2500) taps = [];
  taps = [...taps, now].slice(-TAPS);
  if (taps.length < 4) return;
  const bpm = (60_000 * (taps.length - 1)) / (taps.at(-1) - taps[0]);
  $("bpm").value = bpm.toFixed(1);
  clearTimeout(tap.waiting);
  tap.waiting = setTimeout(guarded(() => lock({ bpm: bpm.toFixed(1) })), 900); // after the last
}

function chooseChord(run) {
  chosen = run;
  const { sheet } = state;
  $("chord-place").textContent = sheet.place(run.beat);
  $("chord").value = run.name;
  const likely = $("likely");
  likely.textContent = "";
  for (const name of sheet.likely(run.beat, run.count)) {
    const button = likely.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = "small";
    button.textContent = name;
    button.setAttribute("aria-pressed", name === run.name);
    button.addEventListener("click", guarded(() => setChord(name)));
  }
  $("again").hidden = !state.bands.some((band) => !band.lane.growing);
  $("chord-form").hidden = false;
  $("chord").select();
  focusOn($("chord"));
}

export function leaveChord() {
  if (!chosen) return false;
  const { beat } = chosen;
  chosen = null;
  $("chord-form").hidden = true;
  const button = lane.chords?.find(({ start }) => start === state.sheet?.times[beat])?.button;
  if (button) focusOn(button);
  return true;
}

function reopen(beat) {
  const run = state.sheet.runs.findLast((one) => one.beat <= beat);
  if (run) chooseChord(run);
}

async function setChord(name) {
  const { beat, count } = chosen;
  const cells = state.sheet.cells.with(beat, name);
  cells.fill(name, beat, beat + count);
  if (await setCells(cells)) say(`${state.sheet.place(beat)}: ${name}`);
}

/** A chord begins at another beat: the one before goes on, or ends earlier. Whether it moved. */
async function moveBorder(run, beat) {
  const { sheet } = state;
  const cells = [...sheet.cells];
  if (run.beat === 0 || beat < 0 || beat === run.beat || beat >= run.beat + run.count) {
    show(sheet);
    return false;
  }
  if (beat < run.beat) cells.fill(run.name, beat, run.beat);
  else cells.fill(cells[run.beat - 1], run.beat, beat);
  return setCells(cells);
}

async function setCells(cells) {
  calm();
  const { sheet, given } = state;
  if (cells.every((name, beat) => name === sheet.cells[beat])) return leaveChord();
  const chords = sheet.chart(cells);
  const found = await service.leadSheet({ lead_sheet: JSON.stringify(sheet.found.lead_sheet), chords });
  const { melody, seconds, remarks } = sheet.found;
  state.undo.push({ sheet, given, heard: player.heard });
  state.given = { ...given, chords };
  show(new Sheet({ ...found, melody, seconds, remarks }));
  guarded(played)();
  return true;
}

async function undo() {
  const before = state.undo.pop();
  if (!before) return;
  state.given = before.given;
  show(before.sheet);
  await played(before.heard);
  say("Undone");
}
