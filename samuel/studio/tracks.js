// The bands there are, which one is heard, which part of one is selected; what a lane's buttons do.

import { see } from "./editing.js";
import { Lane } from "./lanes.js";
import * as service from "./service.js";
import { differs, player, remember, state } from "./state.js";
import { $, bringIntoView, focusOn, guarded, letter, say } from "./telling.js";

export const bandName = (job, variation) => `band-${job.id}-${variation}`;
export const bandNamed = (job, variation) => state.bands.find((band) => band.lane.name === bandName(job, variation));
export const bandsOf = (job) => state.bands.filter((band) => band.job.id === job.id);

export function newBand(job, variation, title = `Band ${letter(state.begun++)}`) {
  const lane = new Lane($("lanes"), player, { name: bandName(job, variation), side: "band", title, note: "" }, laneEvents);
  const band = { lane, job, variation, seed: job.seeds[variation], note: "" };
  state.bands.push(band);
  return band;
}

export function takeAway(band) {
  state.bands = state.bands.filter((one) => one !== band);
  if (state.part?.band === band) choosePart(null);
  band.lane.remove();
  player.remove(band.lane.name);
  if (player.heard === band.lane.name && state.bands.length) listenTo(state.bands.at(-1).lane);
  $("other").disabled = state.bands.length < 2;
  remember();
}

export function nextSeed() {
  return state.bands.length ? Math.max(...state.bands.map((band) => band.seed)) + 1 : 0;
}
const bandOf = (lane) => state.bands.find((band) => band.lane === lane);

/** What is seen is what is heard. */
export function listenTo(lane) {
  if (player.heard !== lane.name) state.other = player.heard;
  player.heard = lane.name;
  lane.radio.checked = true;
  player.setGains();
  const band = bandOf(lane);
  if (band?.sheet && state.sheet && differs(band)) see(band, !state.bands.some((one) => one.sheet && !differs(one)));
  $("other").disabled = state.bands.length < 2;
  remember();
}

/** The band that was heard before, or else the next one: equally loud, at the same place. */
export function listenToOther() {
  if (state.bands.length < 2) return false;
  const heard = state.bands.findIndex((band) => band.lane.name === player.heard);
  const other = state.bands.find((band) => band.lane.name === state.other && band.lane.name !== player.heard);
  const { lane } = other ?? state.bands[(heard + 1) % state.bands.length];
  listenTo(lane);
  say(lane.title);
  return true;
}

export const laneEvents = {
  heard: listenTo,
  mute: (lane) => {
    const other = lane.side === "band" && player.heard !== lane.name;
    if (other) listenTo(lane);
    if (other || !player.mutes.delete(lane.side)) player.mutes.add(lane.side);
    player.setGains();
  },
  solo: (lane) => {
    const other = lane.side === "band" && player.heard !== lane.name;
    if (other) listenTo(lane);
    player.solo = player.solo === lane.side && !other ? null : lane.side;
    player.setGains();
  },
  part: (lane) => {
    const start = Math.min(player.currentTime, Math.max(0, player.duration - 1));
    lane.select(start, Math.min(player.duration, start + 4));
    $("region").elements.start.focus();
  },
  selected: (lane, start, end) => choosePart({ band: bandOf(lane), start, end }),
  stem: guarded((lane) => download(lane, "stem")),
  stems: guarded((lane) => download(lane, "stems")),
  mix: guarded((lane) => download(lane, "mix")),
  midi: guarded((lane) => download(lane, "midi")),
  dragged: (lane, kind) => {
    const file = fileOf(lane, kind);
    const address = file && service.address(file.job, file.kind, file.parameters);
    return address ? { ...file, address } : null;
  },
  remove: (lane) => {
    const band = bandOf(lane);
    takeAway(band);
    if (!state.bands.some((one) => one.job.id === band.job.id)) service.remove(band.job.id);
    focusOn(state.bands.at(-1)?.lane.radio ?? $("generate"));
    say(`${lane.title} is gone.`);
  },
};

const TYPES = { wav: "audio/wav", flac: "audio/flac", mp3: "audio/mpeg", ogg: "audio/ogg" };

/** A lane's file as the server has it: { job, kind, parameters, name, type }; null before it has any. */
function fileOf(lane, kind) {
  const band = bandOf(lane);
  const format = $("format").value;
  if (!band) {
    const job = state.bands[0]?.job.id;
    return job && { job, kind: "vocals", parameters: { format }, name: `${stemName()} - voice.${format}`, type: TYPES[format] };
  }
  const { variation } = band;
  const title = lane.title.toLowerCase();
  const files = {
    stem: ["audio", { variation, format }, `${title}.${format}`, TYPES[format]],
    mix: ["mix", { variation, balance: player.balance, format }, `with ${title}.${format}`, TYPES[format]],
    stems: ["stems", { variation }, `${title} stems.zip`, "application/zip"],
    midi: ["midi", { variation }, `${title}.mid`, "audio/midi"],
  };
  const [what, parameters, name, type] = files[kind];
  return { job: band.job.id, kind: what, parameters, name: `${stemName()} - ${name}`, type };
}

async function download(lane, kind) {
  const file = fileOf(lane, kind);
  if (file) save(await service.sound(file.job, file.kind, file.parameters), file.name);
  else if (state.voice.file) save(state.voice.file, state.voice.file.name);
}

export function choosePart(chosen) {
  state.part = chosen;
  player.loop = null;
  $("loop").setAttribute("aria-pressed", "false");
  for (const band of state.bands) if (band !== chosen?.band) band.lane.select();
  $("region").hidden = !chosen;
  if (!chosen) return;
  const { start, end } = $("region").elements;
  chosen.band.lane.element.after($("region"));
  $("region-of").textContent = chosen.band.lane.title;
  start.value = chosen.start.toFixed(1);
  end.value = chosen.end.toFixed(1);
  start.max = end.max = player.duration.toFixed(1);
  bringIntoView($("region"));
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export const stemName = () => state.voice.name.replace(/\.[^.]+$/, "");

export function leavePart() {
  const lane = state.part?.band.lane;
  choosePart(null);
  if (lane) focusOn(lane.element.querySelector(".part"));
  return Boolean(lane);
}

