// The service's HTTP API, and errors fit to show.

export class Trouble extends Error {
  constructor(words, status = 0) {
    super(words);
    this.status = status;
  }
}

const WAV_HEADER = 44;
const FRAME = 4; // bytes: two channels of 16 bit
const SPOONFUL = 44100; // samples that are worth telling

let token = sessionStorage.getItem("token") ?? "";

export function useToken(given) {
  token = given;
  sessionStorage.setItem("token", given);
}

/** Asks; what is only fetched is asked for again where the service is busy and says when. */
async function call(path, options = {}, tries = options.method ? 1 : 8) {
  const headers = { ...options.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server cannot be reached. Check that it is running, and try again.");
  }
  if (answer.ok) return answer;
  const wait = Number(answer.headers.get("Retry-After"));
  if (answer.status === 429 && tries > 1 && wait > 0 && wait <= 10) {
    await pause(1000 * wait, options.signal);
    return call(path, options, tries - 1);
  }
  const problem = await answer.json().catch(() => ({}));
  throw new Trouble(sentence(problem.detail ?? `The server answered ${answer.status}.`), answer.status);
}

function sentence(words) {
  const text = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

export async function model() {
  return (await (await call("v1/models")).json()).data[0];
}

/** Ask for an accompaniment; gives its job. `fields` are those of the API, without the empty ones. */
export async function order(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null && value !== "") form.append(name, value);
  const answer = await call("v1/accompaniments", { method: "POST", body: form, headers: { Prefer: "respond-async" } });
  return answer.json();
}

/** A file that this browser cannot play, as one that it can; trouble where the server cannot read it either. */
export async function readable(file, signal) {
  const form = new FormData();
  form.append("recording", file);
  return (await call("v1/recordings", { method: "POST", body: form, signal })).blob();
}

/** What a band would play, at whatever levels: of a `recording`, a `reference` or a `lead_sheet`, with what else is given. */
export async function leadSheet({ part_levels, ...fields }, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) if (value !== null && value !== "") form.append(name, value);
  return (await call("v1/lead-sheets", { method: "POST", body: form, signal })).json();
}

/** A job as the server has it; null where it has none of this name any more. */
export async function job(id) {
  try {
    return await (await call(`v1/accompaniments/${id}`)).json();
  } catch (trouble) {
    if (trouble.status === 404) return null;
    throw trouble;
  }
}

/** The job when it is over; `tell` hears of every state before. Waits out a server that is away for a minute. */
export async function finished(job, tell, signal) {
  let lost = 0;
  while (!["succeeded", "failed", "cancelled"].includes(job.state)) {
    tell(job, lost > 0);
    await pause(job.arranged ? 400 : 150, signal);
    try {
      job = await (await call(`v1/accompaniments/${job.id}`, { signal })).json();
      lost = 0;
    } catch (trouble) {
      const passing = trouble instanceof Trouble && (trouble.status === 0 || trouble.status >= 500);
      if (!passing || ++lost > 150) throw trouble;
    }
  }
  if (job.error) throw new Trouble(sentence(job.error.detail), job.error.status);
  if (job.state === "cancelled") throw new Trouble("It was cancelled.");
  return job;
}

export function remove(id) {
  return call(`v1/accompaniments/${id}`, { method: "DELETE", keepalive: true }).catch(() => {});
}

/** Where others than this page find it; null where a token is asked for. */
export function address(id, kind, parameters) {
  return token ? null : new URL(`v1/accompaniments/${id}/${kind}?${new URLSearchParams(parameters)}`, document.baseURI).href;
}

/** One of a job's sounds or files: "vocals", "audio", "mix", "arrangement", "midi", "stems", "lead-sheet", "click". */
export async function sound(id, kind, parameters, signal) {
  return (await call(`v1/accompaniments/${id}/${kind}?${new URLSearchParams(parameters)}`, { signal })).blob();
}

/** A band while it is made: tells each second or so of it, as { at, channels }, with `at` in samples. */
export async function* listen(id, variation, signal) {
  const answer = await call(`v1/accompaniments/${id}/stream?variation=${variation}`, { signal });
  const reader = answer.body.getReader();
  let bytes = new Uint8Array(0);
  let at = -WAV_HEADER / FRAME;
  for (;;) {
    const { done, value } = await reader.read();
    if (value) {
      const both = new Uint8Array(bytes.length + value.length);
      both.set(bytes);
      both.set(value, bytes.length);
      bytes = both;
    }
    if (at < 0 && bytes.length >= WAV_HEADER) {
      bytes = bytes.slice(WAV_HEADER);
      at = 0;
    }
    const frames = Math.floor(bytes.length / FRAME);
    if (at >= 0 && frames && (done || frames >= SPOONFUL)) {
      const samples = new Int16Array(bytes.buffer, bytes.byteOffset, 2 * frames);
      const channels = [0, 1].map((side) => Float32Array.from({ length: frames }, (_, i) => samples[2 * i + side] / 32767));
      yield { at, channels };
      at += frames;
      bytes = bytes.slice(FRAME * frames);
    }
    if (done) return;
  }
}

/** Rejects when the signal says so. */
export function aborted(signal) {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(new DOMException("cancelled", "AbortError"));
    signal.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")), { once: true });
  });
}

function pause(milliseconds, signal) {
  const over = new Promise((resolve) => setTimeout(resolve, milliseconds));
  return signal ? Promise.race([over, aborted(signal)]) : over;
}
