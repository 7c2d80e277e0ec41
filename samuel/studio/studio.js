// The studio: what happens when. Sound is in player.js, tracks in lanes.js, the server in service.js.

import { Lane } from "./lanes.js";
import { Player, RATE } from "./player.js";
import { Recorder } from "./recorder.js";
import * as service from "./service.js";

const $ = (id) => document.getElementById(id);
const player = new Player();
const STAGES = {
  waiting: "Waiting for a place in the band room",
  encode: "Listening to your voice",
  separate: "Taking the voice out of the song",
  sample: "The band is playing along",
  decode: "Writing it down",
  early: "The band is playing along; you can listen already",
  done: "Fetching the sound",
};
const PAGE_TITLE = document.title;

let limits = null;
let voice = null; // { file, lane } of the recording
let bands = []; // { lane, job, variation, seed }; the lane of one that is still made is `growing`
let part = null; // { band, start, end } that is selected
let working = null; // AbortController of the job under way
let begun = 0; // bands ever made of this voice: names the next one

// Telling ---------------------------------------------------------------------------------------------------------

async function complain(error) {
  if (error.name === "AbortError") return;
  if (error.status === 401) {
    await askForToken();
    return;
  }
  if (!(error instanceof service.Trouble)) console.error(error);
  $("trouble-words").textContent =
    error instanceof service.Trouble ? error.message : `Something went wrong in this page: ${error.message}`;
  $("trouble").hidden = false;
}

function calm() {
  $("trouble").hidden = true;
}

/** What happened, for a screen reader. */
function say(words) {
  $("news").textContent = words;
}

function bringIntoView(lane) {
  lane.element.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

/** Move the focus on, where it would be lost. */
function focusOn(element) {
  element.focus({ preventScroll: true });
}

function askForToken() {
  const dialog = $("token-dialog");
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      if (dialog.returnValue === "ok") service.useToken($("token").value.trim());
      $("token").value = "";
      greet();
      resolve();
    }, { once: true }),
  );
}

const guarded = (action) => (...given) => Promise.resolve(action(...given)).catch(complain);

// The voice -------------------------------------------------------------------------------------------------------

async function takeVoice(file) {
  calm();
  if (limits && file.size > limits.max_bytes) {
    throw new service.Trouble(`This file has ${megabytes(file.size)}; the server takes ${megabytes(limits.max_bytes)}.`);
  }
  let buffer = null;
  try {
    buffer = await player.decode(file);
  } catch {
    if (!/\.(wav|flac|mp3|m4a|aac|ogg|opus|webm|mp4|aiff?|wma|mka)$/i.test(file.name)) {
      throw new service.Trouble(`“${file.name}” is no audio that can be read here. Choose a WAV, FLAC, MP3, M4A, OGG or WebM file.`);
    }
  }
  if (buffer && limits && buffer.duration > limits.max_seconds) {
    throw new service.Trouble(`This recording has ${clock(buffer.duration)}; the server takes ${clock(limits.max_seconds)}.`);
  }
  forgetAll();
  const title = "Voice";
  const note = buffer ? `${file.name} · ${clock(buffer.duration)}` : `${file.name} · no preview in this browser`;
  const lane = new Lane($("lanes"), player, { name: "voice", side: "voice", title, note }, laneEvents);
  voice = { file, lane, buffer };
  if (buffer) setVoiceSound(buffer);
  else lane.element.classList.add("blind");
  document.body.classList.add("has-voice");
  $("lanes").hidden = $("order").hidden = false;
  focusOn($("generate"));
}

function setVoiceSound(buffer) {
  player.add("voice", buffer);
  voice.lane.element.classList.remove("blind");
  voice.lane.draw();
  $("transport").hidden = false;
}

function forgetAll() {
  working?.abort();
  for (const job of new Set(bands.filter((band) => !band.lane.growing).map((band) => band.job.id))) service.remove(job);
  choosePart(null);
  for (const band of bands) band.lane.remove();
  voice?.lane.remove();
  player.clear();
  player.heard = null;
  bands = [];
  begun = 0;
}

const recorder = new Recorder((seconds, level) => {
  $("recording-time").textContent = clock(seconds);
  $("level").value = level;
  if (limits && seconds > limits.max_seconds) guarded(stopRecording)();
});

async function toggleRecording() {
  calm();
  if (recorder.active) return stopRecording();
  await recorder.start();
  $("record").classList.add("active");
  $("record-word").textContent = "Stop";
  $("recording").hidden = false;
  say("Recording");
}

async function stopRecording() {
  const file = await recorder.stop();
  $("record").classList.remove("active");
  $("record-word").textContent = "Record";
  $("recording").hidden = true;
  await takeVoice(file);
}

// Making bands ----------------------------------------------------------------------------------------------------

async function generate() {
  const form = new FormData($("order"));
  const variations = Number(form.get("variations"));
  const seed = form.get("seed") === "" ? nextSeed() : Number(form.get("seed"));
  voice.separate = form.get("separate") === "true";
  const fields = {
    vocals: voice.file,
    quality: form.get("quality"),
    seed,
    guidance: form.get("guidance"),
    variations,
    separate: String(voice.separate),
  };
  const finish = async (job, signal) => {
    await hearVoiceOf(job, signal);
    for (let variation = 0; variation < variations; variation++) {
      await addBand(job, variation, `${job.quality} · seed ${job.seeds[variation]}`, signal);
    }
    const { lane } = bandNamed(job, 0);
    listenTo(lane);
    bringIntoView(lane);
    tellReady(bandsOf(job));
  };
  await make(fields, finish, hearEarly);
}

async function remake() {
  const form = new FormData($("region"));
  const [start, end] = [Number(form.get("start")), Number(form.get("end"))];
  if (!(start < end)) throw new service.Trouble("The part must end after it starts.");
  const { band } = part;
  const fields = {
    reference: band.job.id,
    reference_variation: band.variation,
    start,
    end,
    quality: new FormData($("order")).get("quality"),
    seed: nextSeed(),
  };
  await make(fields, async (job, signal) => {
    await addBand(job, 0, `${band.lane.title}, ${start.toFixed(1)}–${end.toFixed(1)} s anew · seed ${job.seeds[0]}`, signal);
    choosePart(null);
    bringIntoView(bandNamed(job, 0).lane);
    player.currentTime = Math.max(0, start - 1);
    tellReady(bandsOf(job));
  });
}

/** From order to result, with progress. `early` is called once there is something to hear before the end. */
async function make(fields, finish, early) {
  calm();
  working = new AbortController();
  const { signal } = working;
  const over = new AbortController();
  let job = null;
  let hearing = null;
  setWorking(true);
  try {
    tell("Sending your voice", null);
    const ordered = service.order(fields);
    ordered.then((late) => signal.aborted && service.remove(late.id), () => {}); // cancelled while it was sent
    job = await Promise.race([ordered, service.aborted(signal)]);
    job = await service.finished(job, (now, lost) => {
      const [playable] = now.playable;
      if (early && playable && playable < now.seconds / 2) {
        hearing ??= early(now, AbortSignal.any([signal, over.signal])).catch(() => {}); // the result comes anyway
      }
      const stage = hearing ? STAGES.early : (STAGES[now.stage] ?? now.stage);
      tell(lost ? "The server is away; waiting for it" : stage, now.progress || null);
    }, signal);
    tell(STAGES.done, 1);
    over.abort();
    await hearing;
    await finish(job, signal);
  } catch (error) {
    working.abort();
    if (job) {
      bandsOf(job).forEach(takeAway);
      service.remove(job.id);
    }
    if (error.name !== "AbortError") throw error;
  } finally {
    working = null;
    setWorking(false);
  }
}

/** The voice as the server heard it: aligned, and without the song around it. */
async function hearVoiceOf(job, signal) {
  if (voice.of === job.id) return;
  const sound = await player.decode(await service.sound(job.id, "vocals", { format: "flac" }, signal));
  signal.throwIfAborted();
  setVoiceSound(sound);
  voice.of = job.id;
}

/** Let the first band of a job be heard while it is made. */
async function hearEarly(job, signal) {
  if (voice.separate || !voice.buffer) await hearVoiceOf(job, signal);
  for await (const { at, channels } of service.listen(job.id, 0, signal)) {
    signal.throwIfAborted();
    const buffer = player.context.createBuffer(2, channels[0].length, RATE);
    channels.forEach((samples, side) => buffer.copyToChannel(samples, side));
    const { lane } = bandNamed(job, 0) ?? newBand(job, 0);
    player.extend(lane.name, at / RATE, buffer);
    if (lane.wave) {
      lane.redraw();
    } else {
      lane.setGrowing(true, "still being made");
      lane.draw();
      listenTo(lane);
      bringIntoView(lane);
      leadToPlay();
    }
  }
}

async function addBand(job, variation, note, signal) {
  const sound = await service.sound(job.id, "audio", { variation, format: "flac" }, signal);
  const buffer = await player.decode(sound);
  signal.throwIfAborted();
  const { lane } = bandNamed(job, variation) ?? newBand(job, variation);
  player.add(lane.name, buffer);
  lane.setGrowing(false, note);
  lane.draw();
  listenTo(lane);
  $("hint").hidden = false;
}

const bandName = (job, variation) => `band-${job.id}-${variation}`;
const bandNamed = (job, variation) => bands.find((band) => band.lane.name === bandName(job, variation));
const bandsOf = (job) => bands.filter((band) => band.job.id === job.id);

function newBand(job, variation) {
  const title = `Band ${letter(begun++)}`;
  const lane = new Lane($("lanes"), player, { name: bandName(job, variation), side: "band", title, note: "" }, laneEvents);
  const band = { lane, job, variation, seed: job.seeds[variation] };
  bands.push(band);
  return band;
}

function takeAway(band) {
  bands = bands.filter((one) => one !== band);
  if (part?.band === band) choosePart(null);
  band.lane.remove();
  player.remove(band.lane.name);
  if (player.heard === band.lane.name && bands.length) listenTo(bands.at(-1).lane);
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

function tell(words, share) {
  const percent = share === null ? "" : ` – ${Math.round(100 * share)}%`;
  if ($("work-words").dataset.words !== words) {
    $("work-words").dataset.words = words; // a screen reader hears each stage, not each percent
    $("work-words").textContent = `${words}…`;
    say(words);
  }
  if (share === null) $("work-bar").removeAttribute("value");
  else $("work-bar").value = share;
  $("work-share").textContent = percent.replace(" – ", "");
  document.title = working ? `${words}${percent}` : PAGE_TITLE;
}

function setWorking(now) {
  $("work").hidden = !now;
  for (const button of [$("generate"), $("remake")]) button.setAttribute("aria-disabled", now); // keeps the focus
  document.title = PAGE_TITLE;
}

function nextSeed() {
  return bands.length ? Math.max(...bands.map((band) => band.seed)) + 1 : 0;
}

// Tracks ----------------------------------------------------------------------------------------------------------

const bandOf = (lane) => bands.find((band) => band.lane === lane);

function listenTo(lane) {
  player.heard = lane.name;
  lane.radio.checked = true;
  player.setGains();
}

const laneEvents = {
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
  stem: guarded(async (lane) => {
    const band = bandOf(lane);
    const format = $("format").value;
    if (band) {
      const sound = await service.sound(band.job.id, "audio", { variation: band.variation, format });
      save(sound, `${stemName()} - ${lane.title.toLowerCase()}.${format}`);
    } else if (bands.length) {
      save(await service.sound(bands[0].job.id, "vocals", { format }), `${stemName()} - voice.${format}`);
    } else {
      save(voice.file, voice.file.name);
    }
  }),
  mix: guarded(async (lane) => {
    const band = bandOf(lane);
    const format = $("format").value;
    const parameters = { variation: band.variation, balance: player.balance, format };
    save(await service.sound(band.job.id, "mix", parameters), `${stemName()} - with ${lane.title.toLowerCase()}.${format}`);
  }),
  remove: (lane) => {
    const band = bandOf(lane);
    takeAway(band);
    if (!bands.some((one) => one.job.id === band.job.id)) service.remove(band.job.id);
    focusOn(bands.at(-1)?.lane.radio ?? $("generate"));
    say(`${lane.title} is gone.`);
  },
};

function choosePart(chosen) {
  part = chosen;
  for (const band of bands) if (band !== chosen?.band) band.lane.select();
  $("region").hidden = !chosen;
  if (!chosen) return;
  const { start, end } = $("region").elements;
  chosen.band.lane.element.after($("region"));
  $("region-of").textContent = chosen.band.lane.title;
  start.value = chosen.start.toFixed(1);
  end.value = chosen.end.toFixed(1);
  start.max = end.max = player.duration.toFixed(1);
  $("region").scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

const stemName = () => voice.file.name.replace(/\.[^.]+$/, "");

// Playback --------------------------------------------------------------------------------------------------------

function showTime() {
  $("time").textContent = `${clock(player.currentTime)} / ${clock(player.duration)}`;
  $("position").max = player.duration || 1;
  $("position").value = player.currentTime;
  $("position").setAttribute("aria-valuetext", `${clock(player.currentTime)} of ${clock(player.duration)}`);
}

function showMix() {
  for (const lane of [voice?.lane, ...bands.map((band) => band.lane)]) {
    if (!lane) continue;
    const chosen = lane.side === "voice" || player.heard === lane.name;
    lane.element.classList.toggle("silent", player.tracks.get(lane.name)?.silent ?? true);
    lane.element.querySelector(".mute").setAttribute("aria-pressed", chosen && player.mutes.has(lane.side));
    lane.element.querySelector(".solo").setAttribute("aria-pressed", chosen && player.solo === lane.side);
  }
}

function showPlaying() {
  $("play").classList.toggle("playing", player.playing);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
}

const playOrPause = () => (player.playing ? player.pause() : player.play());

function key(event) {
  const typing = event.target.closest("input:not([type=range]):not([type=radio]):not([type=checkbox]), select, dialog, textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("transport").hidden) return;
  const onControl = event.target.closest("button, a, summary, input");
  if (event.key === " " && !onControl) playOrPause();
  else if (event.key === "ArrowLeft" && !onControl) player.currentTime -= 2;
  else if (event.key === "ArrowRight" && !onControl) player.currentTime += 2;
  else if (/^[1-9]$/.test(event.key) && bands[event.key - 1]) listenTo(bands[event.key - 1].lane);
  else return;
  event.preventDefault();
}

// Beginning -------------------------------------------------------------------------------------------------------

async function greet() {
  try {
    limits = await service.model();
  } catch (error) {
    await complain(error);
    return;
  }
  const size = new Intl.NumberFormat("en", { notation: "compact", compactDisplay: "long" }).format(limits.parameters);
  $("model").textContent = `Model ${limits.id}, ${size} parameters, on ${limits.device === "cpu" ? "a CPU" : "a GPU"}.`;
  $("longest").textContent = limits.max_seconds < 120 ? `${limits.max_seconds} seconds` : `${Math.floor(limits.max_seconds / 60)} minutes`;
  const choices = $("variations");
  for (const label of choices.querySelectorAll("label")) label.remove();
  for (let number = 1; number <= limits.max_variations; number++) {
    const label = document.createElement("label");
    label.innerHTML = `<input type="radio" name="variations" value="${number}"><span>${number}</span>`;
    label.firstChild.checked = number === 1;
    choices.append(label);
  }
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const letter = (number) => (number < 26 ? String.fromCharCode(65 + number) : `${number + 1}`);

$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", guarded(async () => {
  const [file] = $("file").files;
  if (file) await takeVoice(file);
  $("file").value = "";
}));
$("record").addEventListener("click", guarded(toggleRecording));
$("example").addEventListener("click", guarded(async () => {
  const answer = await fetch("studio/example.ogg");
  await takeVoice(new File([await answer.blob()], "Daisy Bell.ogg", { type: "audio/ogg" }));
}));
for (const event of ["dragover", "dragenter"]) {
  document.addEventListener(event, (drag) => {
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
  if (!working) guarded(generate)();
});
$("region").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!working) guarded(remake)();
});
$("region").addEventListener("input", () => {
  const [start, end] = ["start", "end"].map((name) => Number($("region").elements[name].value));
  if (start < end && end <= player.duration + 0.1) part.band.lane.select(start, end);
});
$("region-close").addEventListener("click", () => {
  const { lane } = part.band;
  choosePart(null);
  focusOn(lane.element.querySelector(".part"));
});
$("cancel").addEventListener("click", () => {
  working?.abort();
  focusOn($("generate"));
  say("Cancelled");
});
$("trouble-close").addEventListener("click", () => {
  calm();
  focusOn(voice ? $("generate") : $("choose"));
});
$("play").addEventListener("click", playOrPause);
$("position").addEventListener("input", () => (player.currentTime = Number($("position").value)));
$("balance").addEventListener("input", () => {
  player.balance = Number($("balance").value);
  player.setGains();
});
document.addEventListener("keydown", key);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const lane of [voice?.lane, ...bands.map((band) => band.lane)]) lane?.wave?.setOptions(lane.colours());
});
for (const event of ["play", "pause"]) player.addEventListener(event, showPlaying);
for (const event of ["timeupdate", "durationchange"]) player.addEventListener(event, showTime);
player.addEventListener("mixchange", showMix);
window.addEventListener("pagehide", (event) => {
  if (!event.persisted) working?.abort();
});
greet();
