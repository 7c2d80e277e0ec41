// The studio: what happens when. Sound is in player.js, tracks in lanes.js, the server in
// service.js, keys and clock in transport.js, words in telling.js.

import { playChanges } from "./changes.js";
import { fillStyles, findSheet, hideSheet, leaveChord, playedSheet, setUpSheet, sheetFields, show, stopAsking } from "./editing.js";
import { Lane } from "./lanes.js";
import { RATE } from "./player.js";
import { Recorder } from "./recorder.js";
import * as service from "./service.js";
import * as session from "./session.js";
import { Sheet } from "./sheet.js";
import { orderedQuality, player, remember, state } from "./state.js";
import { $, bringIntoView, calm, clock, focusOn, guarded, megabytes, say, setWorking, tell } from "./telling.js";
import {
  bandName, bandNamed, bandsOf, choosePart, laneEvents, leavePart, listenTo, listenToOther, newBand, nextSeed, stemName,
  takeAway,
} from "./tracks.js";
import { setUpTransport } from "./transport.js";
import { setUpZoom } from "./zoom.js";

const STAGES = {
  waiting: "Waiting for a place in the band room",
  encode: "Listening to your voice",
  separate: "Taking the voice out of the song",
  sample: "The band is playing along",
  decode: "Writing it down",
  early: "The band is playing along; you can listen already",
  done: "Fetching the sound",
};
const AUDIO_NAMES = /\.(wav|flac|mp3|m4a|aac|ac3|amr|ogg|oga|opus|webm|mp4|mov|aiff?|caf|wma|mka|mkv|3gp|wv|au)$/i;

// The voice -------------------------------------------------------------------------------------------------------

/** `recorded`: here, so that nobody else has it. `given`: what is known of its lead sheet. */
async function takeVoice(file, { recorded = false, given = {} } = {}) {
  calm();
  if (state.limits && file.size > state.limits.max_bytes) {
    throw new service.Trouble(`This file has ${megabytes(file.size)}; the server takes ${megabytes(state.limits.max_bytes)}.`);
  }
  const buffer = await heardHere(file);
  if (state.limits && buffer.duration > state.limits.max_seconds) {
    throw new service.Trouble(`This recording has ${clock(buffer.duration)}; the server takes ${clock(state.limits.max_seconds)}.`);
  }
  forgetAll();
  showVoice({ name: file.name, file, buffer, recorded }, `${file.name} · ${clock(buffer.duration)}`);
  await setVoiceSound(buffer);
  focusOn($("generate"));
  state.given = given;
  state.finding = findSheet().catch(() => {}); // a band can be made without it
}

/** The example is heard at once; its chords follow, and then a sketch of a band. */
async function playExample() {
  const answer = await fetch(new URL("example.ogg", import.meta.url));
  await takeVoice(new File([await answer.blob()], "Daisy Bell.ogg", { type: "audio/ogg" }));
  const { voice } = state;
  player.play();
  await state.finding;
  if (state.voice !== voice || state.bands.length || state.working) return; // something else is wanted
  await make({ ...sheetFields(), vocals: voice.file, quality: "draft", strength: 0, seed: nextSeed() });
}

/** Its sound; of a file that this browser cannot play, as the server reads it. */
async function heardHere(file) {
  try {
    return await player.decode(file);
  } catch {
    if (!AUDIO_NAMES.test(file.name) && !/^(audio|video)\//.test(file.type)) {
      throw new service.Trouble(`“${file.name}” is no audio that can be read here. Choose a WAV, FLAC, MP3, M4A, OGG or WebM file.`);
    }
  }
  setWorking(true);
  tell("Reading your file", null);
  try {
    return await player.decode(await service.readable(file));
  } catch (error) {
    if (error.status === 422) throw new service.Trouble(`“${file.name}” cannot be used: ${error.message}`, 422);
    throw error;
  } finally {
    setWorking(Boolean(state.working));
  }
}

function showVoice(given, note) {
  const lane = new Lane($("lanes"), player, { name: "voice", side: "voice", title: "Voice", note }, laneEvents);
  lane.element.classList.add("blind");
  state.voice = { ...given, lane };
  document.body.classList.add("has-voice");
  $("lanes").hidden = $("order").hidden = false;
}

async function setVoiceSound(buffer) {
  const { lane } = state.voice;
  await player.add("voice", buffer);
  if (state.voice?.lane !== lane) return; // another was chosen meanwhile
  state.voice.buffer = buffer;
  lane.element.classList.remove("blind");
  lane.draw();
  $("transport").hidden = false;
}

function forgetAll() {
  state.working?.abort();
  for (const job of new Set(state.bands.filter((band) => !band.lane.growing).map((band) => band.job.id))) service.remove(job);
  choosePart(null);
  hideSheet();
  for (const band of state.bands) band.lane.remove();
  state.voice?.lane.remove();
  state.voice = null;
  document.body.classList.remove("has-voice");
  $("lanes").hidden = $("order").hidden = $("transport").hidden = $("hint").hidden = true;
  player.clear();
  player.heard = state.other = null;
  state.bands = [];
  state.begun = 0;
  remember();
}

const recorder = new Recorder((seconds, level) => {
  $("recording-time").textContent = clock(seconds);
  $("level").value = level;
  if (state.limits && seconds > state.limits.max_seconds - 1) guarded(stopRecording)();
});

async function toggleRecording() {
  calm();
  if (recorder.active) return stopRecording();
  const count = $("count-in").checked && $("count-bpm").reportValidity() ? Number($("count-bpm").value) : null;
  if (!(await recorder.start(count))) return;
  $("record").classList.add("active");
  $("record-word").textContent = "Stop";
  $("recording").hidden = false;
  say("Recording");
}

async function stopRecording() {
  const file = await recorder.stop();
  if (!file) return;
  $("record").classList.remove("active");
  $("record-word").textContent = "Record";
  $("recording").hidden = true;
  state.arriving = true;
  try {
    const { downbeat } = recorder;
    const given = downbeat ? { bpm: $("count-bpm").value, first_beat: downbeat.toFixed(3), metre: "4/4" } : {};
    await takeVoice(file, { recorded: true, given });
  } finally {
    state.arriving = false;
  }
}

// Making bands ----------------------------------------------------------------------------------------------------

async function generate() {
  const form = new FormData($("order"));
  state.voice.separate = form.get("separate") === "true";
  stopAsking();
  const vary = form.get("vary_chords") !== null && form.get("variations") !== "1";
  await make({
    ...(vary ? { ...state.given, vary_chords: true } : sheetFields()),
    vocals: state.voice.file,
    ...orderedQuality(),
    seed: form.get("seed") === "" ? nextSeed() : Number(form.get("seed")),
    guidance: form.get("guidance"),
    variations: Number(form.get("variations")),
    separate: String(state.voice.separate),
  });
}

async function remake() {
  const form = new FormData($("region"));
  const [start, end] = [Number(form.get("start")), Number(form.get("end"))];
  if (!(start < end)) throw new service.Trouble("The part must end after it starts.");
  if (await again(state.part.band, start, end)) choosePart(null);
}

/** The network plays a part of a band anew. Whether it came so far. */
async function again(band, start, end) {
  listenTo(band.lane);
  const fields = {
    reference: band.job.id,
    reference_variation: band.variation,
    start: start.toFixed(4),
    end: end.toFixed(4),
    quality: orderedQuality().quality, // a sketch has no other take
    seed: nextSeed(),
  };
  const came = await make(fields, `${band.lane.title}, ${start.toFixed(1)}–${end.toFixed(1)} s anew`);
  if (came) player.currentTime = Math.max(0, start - 1);
  return came;
}

async function playAgain(start, end) {
  const band = state.bands.find((one) => one.lane.name === player.heard);
  if (band && !band.lane.growing && !state.working) await again(band, start, end);
}

/** From what is asked for to bands that can be heard. `note` names a part that is made anew. Whether it came so far. */
async function make(fields, note = "", arranged = null) {
  calm();
  state.working = new AbortController();
  const { signal } = state.working;
  setWorking(true);
  tell("Sending your voice", null);
  try {
    const ordered = service.order(fields);
    ordered.then((late) => signal.aborted && service.remove(late.id), () => {}); // cancelled while it was sent
    return await follow(await Promise.race([ordered, service.aborted(signal)]), note, arranged);
  } finally {
    if (state.working?.signal === signal) stopWorking();
  }
}

/** From a job that the server has to its bands. */
async function follow(job, note, arranged = null) {
  state.working ??= new AbortController();
  const { signal } = state.working;
  const over = new AbortController();
  const { given, sheet } = state; // what is seen meanwhile may be another
  let hearing = null;
  state.making = { job: job.id, note };
  remember();
  setWorking(true);
  try {
    job = await service.finished(job, (now, lost) => {
      if (now.arranged && arranged) {
        arranged(now, signal).catch(() => {}); // the network's take comes anyway
        arranged = null;
      }
      const [playable] = now.playable;
      if (!note && playable && playable < now.seconds - 5) {
        hearing ??= hearEarly(now, AbortSignal.any([signal, over.signal])).catch(() => {}); // the result comes anyway
      }
      const stage = hearing ? STAGES.early : (STAGES[now.stage] ?? now.stage);
      tell(lost ? "The server is away; waiting for it" : stage, now.progress || null);
    }, signal);
    tell(STAGES.done, 1);
    over.abort();
    await hearing;
    await hearVoiceOf(job, signal);
    for (let variation = 0; variation < job.variations; variation++) {
      const played = await playedSheet(job, variation, sheet, signal).catch(() => null);
      const name = note || (job.strength === 0 ? "sketch" : job.quality);
      await addBand(job, variation, { note: `${name} · seed ${job.seeds[variation]}`, given, sheet: played }, signal);
    }
    const { lane } = bandNamed(job, 0);
    listenTo(lane);
    bringIntoView(lane.element);
    tellReady(bandsOf(job));
    return true;
  } catch (error) {
    bandsOf(job).forEach(takeAway);
    if (error.name === "AbortError" || error.status) service.remove(job.id); // else the server has it, when it is back
    if (error.name !== "AbortError") throw error;
    return false;
  } finally {
    if (state.working?.signal === signal) stopWorking();
  }
}

function stopWorking() {
  state.working.abort();
  state.working = state.making = null;
  setWorking(false);
  remember();
}

/** What this tab was at before it was loaded again, as the server still has it. */
async function restore() {
  const saved = session.kept();
  if (!saved) return;
  const ids = new Set([...saved.bands.map((band) => band.job), saved.making?.job].filter(Boolean));
  const jobs = new Map(await Promise.all([...ids].map(async (id) => [id, await service.job(id)])));
  const there = saved.bands.filter((band) => jobs.get(band.job)?.state === "succeeded");
  const going = jobs.get(saved.making?.job);
  session.keep(null);
  if (!there.length && !going) {
    throw new service.Trouble("Your bands are no longer on the server; it keeps them for a while only.");
  }
  showVoice({ name: saved.voice.name, separate: saved.voice.separate }, `${saved.voice.name} · as it was heard`);
  player.balance = Number(($("balance").value = saved.balance));
  $("order").elements.separate.value = "false"; // the server has the voice
  state.working = new AbortController();
  const { signal } = state.working;
  setWorking(true);
  tell("Bringing back your bands", null);
  try {
    if (there.length) await hearVoiceOf(jobs.get(there[0].job), signal);
    for (const band of there) {
      const { variation, note, title, given } = band;
      await addBand(jobs.get(band.job), variation, { note, title, given, sheet: band.sheet && new Sheet(band.sheet) }, signal);
    }
    state.begun = saved.begun;
    state.given = saved.given ?? {};
    if (saved.sheet) show(new Sheet(saved.sheet));
    const heard = state.bands.find((band) => band.lane.name === saved.heard);
    if (heard) listenTo(heard.lane);
    if (going) await follow(going, saved.making.note);
  } finally {
    if (state.working?.signal === signal) stopWorking();
    if (!state.voice.file) forgetAll(); // its first job came to nothing
  }
}

/** The voice as the server heard it: aligned, and without the song around it. */
async function hearVoiceOf(job, signal) {
  if (state.voice.of === job.id) return;
  const sound = await service.sound(job.id, "vocals", { format: "flac" }, signal);
  const buffer = await player.decode(sound);
  signal.throwIfAborted();
  const { voice } = state;
  voice.file ??= new File([sound], `${stemName()}.flac`, { type: "audio/flac" });
  await setVoiceSound(buffer);
  voice.of = job.id;
}

/** Let the first band of a job be heard while it is made. */
async function hearEarly(job, signal) {
  if (state.voice.separate || !state.voice.buffer) await hearVoiceOf(job, signal);
  for await (const { at, channels } of service.listen(job.id, 0, signal)) {
    signal.throwIfAborted();
    const buffer = player.context.createBuffer(2, channels[0].length, RATE);
    channels.forEach((samples, side) => buffer.copyToChannel(samples, side));
    await player.extend(bandName(job, 0), at / RATE, buffer, signal);
    const { lane } = bandNamed(job, 0) ?? newBand(job, 0);
    if (lane.wave) {
      lane.redraw();
    } else {
      lane.setGrowing(true, "still being made");
      lane.draw();
      listenTo(lane);
      bringIntoView(lane.element);
      leadToPlay();
    }
  }
}

async function addBand(job, variation, { note, title, given, sheet }, signal) {
  const sound = await service.sound(job.id, "audio", { variation, format: "flac" }, signal);
  const buffer = await player.decode(sound);
  signal.throwIfAborted();
  await player.add(bandName(job, variation), buffer);
  signal.throwIfAborted();
  const band = bandNamed(job, variation) ?? newBand(job, variation, title);
  band.note = note;
  band.given ??= given;
  band.sheet ??= sheet;
  if (!state.sheet && sheet) show(sheet);
  delete band.base; // it stands for itself
  band.lane.setGrowing(false, note);
  band.lane.draw();
  listenTo(band.lane);
  $("hint").hidden = false;
  remember();
}

function tellReady(made) {
  const names = made.map((band) => band.lane.title);
  say(`${names.join(", ")} ${names.length > 1 ? "are" : "is"} ready. Press Play, or Space.`);
  leadToPlay();
}

/** From where it has nothing more to do, the focus goes to what is wanted next. */
function leadToPlay() {
  if ([$("generate"), $("remake"), document.body].includes(document.activeElement)) focusOn($("play"));
}

// Beginning -------------------------------------------------------------------------------------------------------

async function greet() {
  state.limits = await service.model();
  const size = new Intl.NumberFormat("en", { notation: "compact", compactDisplay: "long" }).format(state.limits.parameters);
  $("model").textContent = `Model ${state.limits.id}, ${size} parameters, on ${state.limits.device === "cpu" ? "a CPU" : "a GPU"}.`;
  $("longest").textContent = state.limits.max_seconds < 120 ? `${state.limits.max_seconds} seconds` : `${Math.floor(state.limits.max_seconds / 60)} minutes`;
  fillStyles(state.limits.styles);
  const choices = $("variations");
  for (const label of choices.querySelectorAll("label")) label.remove();
  for (let number = 1; number <= state.limits.max_variations; number++) {
    const label = document.createElement("label");
    label.innerHTML = `<input type="radio" name="variations" value="${number}"><span>${number}</span>`;
    label.firstChild.checked = number === 1;
    choices.append(label);
  }
}

const begin = guarded(async () => {
  await greet();
  if (!state.voice) await restore();
});

$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", guarded(async () => {
  const [file] = $("file").files;
  if (file) await takeVoice(file);
  $("file").value = "";
}));
$("record").addEventListener("click", guarded(toggleRecording));
$("example").addEventListener("click", guarded(playExample));
for (const event of ["dragover", "dragenter"]) {
  document.addEventListener(event, (drag) => {
    if (!drag.dataTransfer?.types.includes("Files")) return; // one of the page's own
    drag.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const event of ["dragleave", "drop"]) document.addEventListener(event, () => $("drop").classList.remove("over"));
document.addEventListener("drop", guarded(async (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) await takeVoice(file);
}));
$("order").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!state.working) guarded(generate)();
});
$("region").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!state.working) guarded(remake)();
});
$("region").addEventListener("input", () => {
  const [start, end] = ["start", "end"].map((name) => Number($("region").elements[name].value));
  if (!(start < end && end <= player.duration + 0.1)) return;
  Object.assign(state.part, { start, end });
  if (player.loop) player.loop = { start, end };
  state.part.band.lane.select(start, end);
});
$("loop").addEventListener("click", () => {
  player.loop = player.loop ? null : { start: state.part.start, end: state.part.end };
  $("loop").setAttribute("aria-pressed", Boolean(player.loop));
  if (player.loop) player.currentTime = player.loop.start;
});
const sheetLane = setUpSheet((before) => playChanges(make, before), playAgain);
$("region-close").addEventListener("click", leavePart);
$("cancel").addEventListener("click", () => {
  state.working?.abort();
  focusOn($("generate"));
  say("Cancelled");
});
$("trouble-close").addEventListener("click", () => {
  calm();
  focusOn(state.voice ? $("generate") : $("choose"));
});
$("balance").addEventListener("input", () => {
  player.balance = Number($("balance").value);
  player.setGains();
});
const lanes = () => [state.voice?.lane, ...state.bands.map((band) => band.lane)].filter(Boolean);
setUpTransport(player, {
  tracks: lanes,
  other: listenToOther,
  zoom: setUpZoom(lanes, sheetLane),
  choose: (number) => Boolean(state.bands[number - 1] && (listenTo(state.bands[number - 1].lane), true)),
  escape: () => leaveChord() || leavePart(),
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const lane of lanes()) lane.wave?.setOptions(lane.colours());
});
window.addEventListener("beforeunload", (event) => {
  const onlyHere = state.voice?.recorded && !state.voice.of; // no server has it
  if (recorder.holds || state.arriving || onlyHere || (state.working && !state.making)) event.preventDefault();
});
document.addEventListener("token", begin);
begin();
