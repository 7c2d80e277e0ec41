// Plays the voice and the bands in step, from one clock. All bands run, and one of them is heard: so changing
// between them leaves no gap. The player looks like a media element to the waveforms, which all follow it.

const RATE = 44100;
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
    const gain = this.context.createGain();
    gain.gain.value = 0;
    gain.connect(this.output);
    this.tracks.set(name, { buffer, gain, level: USUAL_LEVEL / Math.max(level(buffer), 1e-4) });
    if (this.playing) this.startTrack(this.tracks.get(name));
    this.setGains();
    this.dispatchEvent(new Event("durationchange"));
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
    if (this.offset >= track.buffer.duration) return;
    track.source = this.context.createBufferSource();
    track.source.buffer = track.buffer;
    track.source.connect(track.gain);
    track.source.start(0, this.currentTime);
  }

  stopTrack(track) {
    track.source?.stop();
    track.source?.disconnect();
    track.source = null;
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
    return Math.max(0, ...[...this.tracks.values()].map((track) => track.buffer.duration));
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

/** The largest values of so many slices of a sound, for drawing. */
export function peaks(buffer, slices = 1600) {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
  const result = new Float32Array(slices);
  const width = buffer.length / slices;
  for (let i = 0; i < slices; i++) {
    let most = 0;
    for (let at = Math.floor(i * width); at < (i + 1) * width && at < buffer.length; at += 3) {
      for (const channel of channels) most = Math.max(most, Math.abs(channel[at]));
    }
    result[i] = most;
  }
  return result;
}
