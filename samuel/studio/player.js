// Plays the voice and the bands in step, from one clock. All bands run, and one of them is heard: so changing
// between them leaves no gap. The player looks like a media element to the waveforms, which all follow it.

import { SILENCE, loudness, products, together, weighted } from "./loudness.js";

export const RATE = 44100;
const CLICK = 0.4; // amplitude
const LUFS = -14; // of what is heard, as of a downloaded mix

const amplitude = (decibels) => 10 ** (decibels / 20);

export class Player extends EventTarget {
  /** `context`: where to play, by default the loudspeakers. */
  constructor(context = null) {
    super();
    this.context_ = null;
    if (context) this.connect(context);
    this.tracks = new Map();
    this.heard = null; // name of the band that is heard
    this.balance = 0; // decibels for the band
    this.mutes = new Set(); // of "voice" and "band"
    this.solo = null;
    this.clicking = false; // whether the click is heard
    this.loop = null; // { start, end } that is played again and again
    this.playing = false;
    this.offset = 0;
    this.begun = 0;
    this.songs = 0; // how often all was cleared: what was measured before that comes too late
  }

  get context() {
    if (!this.context_) this.connect(new AudioContext({ sampleRate: RATE }));
    return this.context_;
  }

  /** `ready` is resolved when the limiter stands before the loudspeakers. */
  connect(context) {
    this.context_ = context;
    this.output = context.createGain();
    this.ready = limiterFor(context).then((limiter) => this.output.connect(limiter).connect(context.destination));
  }

  async decode(blob) {
    return this.context.decodeAudioData(await blob.arrayBuffer());
  }

  /** A whole sound, in place of any of that name; measured first, so that its level never jumps. */
  async add(name, buffer) {
    const { songs } = this;
    const heard = await weighted(buffer);
    const voice = name === "voice" ? heard : this.tracks.get("voice")?.weighted;
    const track = this.newTrack();
    track.powers = products(heard, heard);
    if (name === "voice") {
      track.weighted = heard;
      for (const other of this.tracks.values()) {
        if (other.cross) other.cross = products(voice, await weighted(other.pieces[0].buffer));
      }
    } else {
      track.cross = voice ? products(voice, heard) : new Float64Array();
    }
    if (songs !== this.songs) return;
    this.remove(name, { goOn: true });
    this.tracks.set(name, track);
    this.append(track, { at: 0, buffer });
  }

  /** Add what follows to a sound that is still being made; `at` says where, in seconds. */
  async extend(name, at, buffer, signal) {
    const heard = await weighted(buffer);
    signal.throwIfAborted();
    const track = this.tracks.get(name) ?? this.newTrack();
    track.powers = Float64Array.of(...(track.powers ?? []), ...products(heard, heard));
    this.tracks.set(name, track);
    this.append(track, { at, buffer });
  }

  /** The beats' click, beside all levels. */
  setClick(buffer) {
    const track = this.newTrack();
    this.remove("click", { goOn: true });
    this.tracks.set("click", track);
    this.append(track, { at: 0, buffer });
  }

  newTrack() {
    const gain = this.context.createGain();
    gain.gain.value = 0;
    gain.connect(this.output);
    return { pieces: [], sources: [], gain };
  }

  append(track, piece) {
    track.pieces.push(piece);
    if (this.playing) this.startPiece(track, piece);
    this.setGains();
    this.dispatchEvent(new Event("durationchange"));
  }

  /** Gains of the voice and of a band, as the server's mix has them: equally loud before the balance, and at `LUFS` together. */
  gains(band) {
    const voice = this.tracks.get("voice");
    const levels = [voice, band].map((track) => (track ? loudness(track.powers) : SILENCE));
    const share = amplitude(this.balance + (Math.min(...levels) > SILENCE ? levels[0] - levels[1] : 0));
    let powers = voice?.powers ?? band?.powers ?? [];
    if (voice && band) powers = together(voice.powers, band.powers, band.cross ?? [], share);
    const level = loudness(powers);
    const all = amplitude(level > SILENCE ? LUFS - level : 0);
    return { voice: all, band: voice ? all * share : all };
  }

  pieces(name) {
    return this.tracks.get(name)?.pieces ?? [];
  }

  /** `goOn`: another takes its place at once. */
  remove(name, { goOn = false } = {}) {
    const track = this.tracks.get(name);
    if (!track) return;
    this.stopTrack(track);
    track.gain.disconnect();
    this.tracks.delete(name);
    if (![...this.tracks.keys()].some((one) => one !== "click") && !goOn) this.pause();
  }

  clear() {
    this.songs++;
    this.pause();
    this.loop = null;
    for (const name of [...this.tracks.keys()]) this.remove(name);
    this.currentTime = 0;
  }

  setGains() {
    const gains = this.gains(this.tracks.get(this.heard));
    for (const [name, track] of this.tracks) {
      if (name === "click") {
        track.gain.gain.setTargetAtTime(this.clicking ? CLICK : 0, this.context.currentTime, 0.015);
        continue;
      }
      const side = name === "voice" ? "voice" : "band";
      track.silent = Boolean(
        this.mutes.has(side) || (this.solo && this.solo !== side) || (side === "band" && name !== this.heard),
      );
      track.gain.gain.setTargetAtTime(track.silent ? 0 : gains[side], this.context.currentTime, 0.015);
    }
    this.dispatchEvent(new Event("mixchange"));
  }

  startTrack(track) {
    for (const piece of track.pieces) this.startPiece(track, piece);
  }

  startPiece(track, { at, buffer }) {
    const now = this.context.currentTime;
    const when = this.begun + at - this.offset; // it begins, by the context's clock
    const late = Math.max(0, now - when);
    if (late >= buffer.duration) return;
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(track.gain);
    source.start(Math.max(now, when), late);
    track.sources.push(source);
  }

  stopTrack(track) {
    for (const source of track.sources) {
      source.stop();
      source.disconnect();
    }
    track.sources = [];
  }

  async play() {
    if (this.playing || !this.tracks.size) return;
    await Promise.all([this.context.resume(), this.ready]);
    if (this.playing || !this.tracks.size) return; // asked twice meanwhile, or all was taken away
    if (this.offset >= this.duration - 0.01) this.offset = 0;
    this.begun = this.context.currentTime;
    this.playing = true;
    for (const track of this.tracks.values()) this.startTrack(track);
    this.dispatchEvent(new Event("play"));
    this.tick();
  }

  pause() {
    if (!this.playing) return;
    this.offset = this.currentTime;
    this.playing = false;
    for (const track of this.tracks.values()) this.stopTrack(track);
    this.dispatchEvent(new Event("pause"));
  }

  tick() {
    if (!this.playing) return;
    if (this.loop && this.currentTime >= this.loop.end) this.currentTime = this.loop.start;
    if (this.currentTime >= this.duration) {
      this.pause();
      this.dispatchEvent(new Event("ended"));
    }
    this.dispatchEvent(new Event("timeupdate"));
    requestAnimationFrame(() => this.tick());
  }

  get duration() {
    const sounds = [...this.tracks].filter(([name]) => name !== "click");
    const pieces = sounds.flatMap(([, track]) => track.pieces);
    return Math.max(0, ...pieces.map(({ at, buffer }) => at + buffer.duration));
  }

  get currentTime() {
    if (!this.playing) return this.offset;
    return Math.min(this.duration, this.offset + this.context.currentTime - this.begun);
  }

  set currentTime(seconds) {
    const again = this.playing;
    if (again) for (const track of this.tracks.values()) this.stopTrack(track);
    this.playing = false;
    this.offset = Math.max(0, Math.min(seconds, this.duration));
    if (again) {
      this.begun = this.context.currentTime;
      this.playing = true;
      for (const track of this.tracks.values()) this.startTrack(track);
    }
    this.dispatchEvent(new Event("seeking"));
    this.dispatchEvent(new Event("timeupdate"));
    this.dispatchEvent(new Event("seeked"));
  }

  // What else the waveforms ask of a media element.
  get paused() { return !this.playing; }
  get ended() { return !this.playing && this.duration > 0 && this.offset >= this.duration; }
  get readyState() { return 4; }
  get src() { return ""; }
  get currentSrc() { return ""; }
  volume = 1;
  muted = false;
  playbackRate = 1;
  seeking = false;
  canPlayType() { return ""; }
  removeAttribute() {}
}

/** A look-ahead limiter, for accidents. */
async function limiterFor(context) {
  if (context.audioWorklet) {
    await context.audioWorklet.addModule(new URL("limiter.js", import.meta.url));
    return new AudioWorkletNode(context, "limiter", { outputChannelCount: [2] });
  }
  const compressor = context.createDynamicsCompressor(); // on a page that is not secure there is nothing better
  compressor.threshold.value = -1;
  compressor.knee.value = 0;
  compressor.ratio.value = 20;
  compressor.attack.value = 0.001;
  return compressor;
}

/** The largest values of so many slices of a sound in pieces, for drawing; 0 where there is none. */
export function peaks(pieces, duration, slices = 6400) {
  const result = new Float32Array(slices);
  for (const { at, buffer } of pieces) {
    const first = (at / duration) * slices;
    const each = slices / duration / buffer.sampleRate;
    for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
      const samples = buffer.getChannelData(channel);
      for (let i = 0; i < samples.length; i += 3) {
        const slice = Math.min(slices - 1, Math.floor(first + i * each));
        result[slice] = Math.max(result[slice], Math.abs(samples[i]));
      }
    }
  }
  return result;
}
