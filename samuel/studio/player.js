// Plays the voice and the bands in step, from one clock. All bands run, and one of them is heard: so changing
// between them leaves no gap. The player looks like a media element to the waveforms, which all follow it.

export const RATE = 44100;
const USUAL_LEVEL = 0.1; // root mean square that voice and band are brought to before the balance

export class Player extends EventTarget {
  constructor() {
    super();
    this.tracks = new Map();
    this.heard = null; // name of the band that is heard
    this.balance = 0; // decibels for the band
    this.mutes = new Set(); // of "voice" and "band"
    this.solo = null;
    this.playing = false;
    this.offset = 0;
    this.begun = 0;
  }

  get context() {
    if (!this.context_) {
      this.context_ = new AudioContext({ sampleRate: RATE });
      this.output = this.context_.createDynamicsCompressor(); // as a limiter
      this.output.threshold.value = -3;
      this.output.ratio.value = 20;
      this.output.knee.value = 0;
      this.output.attack.value = 0.002;
      this.output.connect(this.context_.destination);
    }
    return this.context_;
  }

  async decode(blob) {
    return this.context.decodeAudioData(await blob.arrayBuffer());
  }

  add(name, buffer) {
    this.remove(name);
    this.extend(name, 0, buffer);
  }

  /** Add what follows to a sound that is still being made; `at` says where, in seconds. */
  extend(name, at, buffer) {
    let track = this.tracks.get(name);
    if (!track) {
      const gain = this.context.createGain();
      gain.gain.value = 0;
      gain.connect(this.output);
      track = { pieces: [], sources: [], gain, level: USUAL_LEVEL / Math.max(level(buffer), 1e-4) };
      this.tracks.set(name, track);
    }
    const piece = { at, buffer };
    track.pieces.push(piece);
    if (this.playing) this.startPiece(track, piece);
    this.setGains();
    this.dispatchEvent(new Event("durationchange"));
  }

  pieces(name) {
    return this.tracks.get(name)?.pieces ?? [];
  }

  remove(name) {
    const track = this.tracks.get(name);
    if (!track) return;
    this.stopTrack(track);
    track.gain.disconnect();
    this.tracks.delete(name);
    if (!this.tracks.size) this.pause();
  }

  clear() {
    this.pause();
    for (const name of [...this.tracks.keys()]) this.remove(name);
    this.currentTime = 0;
  }

  setGains() {
    const band = 10 ** (Math.min(0, this.balance) / 20);
    const voice = 10 ** (Math.min(0, -this.balance) / 20);
    for (const [name, track] of this.tracks) {
      const side = name === "voice" ? "voice" : "band";
      const silent = this.mutes.has(side) || (this.solo && this.solo !== side) || (side === "band" && name !== this.heard);
      const value = silent ? 0 : Math.min(8, track.level) * (side === "voice" ? voice : band);
      track.gain.gain.setTargetAtTime(value, this.context.currentTime, 0.015);
      track.silent = Boolean(silent);
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
    await this.context.resume();
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
    if (this.currentTime >= this.duration) {
      this.pause();
      this.dispatchEvent(new Event("ended"));
    }
    this.dispatchEvent(new Event("timeupdate"));
    requestAnimationFrame(() => this.tick());
  }

  get duration() {
    const pieces = [...this.tracks.values()].flatMap((track) => track.pieces);
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

/** Root mean square of what is not silence. */
function level(buffer) {
  const samples = buffer.getChannelData(0);
  let sum = 0;
  let count = 0;
  for (let i = 0; i < samples.length; i += 7) {
    const square = samples[i] * samples[i];
    if (square > 1e-6) {
      sum += square;
      count++;
    }
  }
  return Math.sqrt(sum / Math.max(1, count));
}

/** The largest values of so many slices of a sound in pieces, for drawing; 0 where there is none. */
export function peaks(pieces, duration, slices = 1600) {
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
