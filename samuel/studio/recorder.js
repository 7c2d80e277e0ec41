// The microphone, without the browser's improvements for speech, which hurt singing.

import { countIn } from "./click.js";
import { Trouble } from "./service.js";

export class Recorder {
  /** `tell(seconds, level)` while it records, with a level from 0 to 1. */
  constructor(tell) {
    this.tell = tell;
    this.state = "idle"; // then "starting", while the microphone is asked for, "active", "stopping"
  }

  get active() {
    return this.state === "active";
  }

  /** Whether it has sound that nobody else has. */
  get holds() {
    return this.state === "active" || this.state === "stopping";
  }

  /** Whether it records then: asked again while it starts, it does nothing. `count`: beats a minute of a click. */
  async start(count = null) {
    if (this.state !== "idle") return false;
    if (!navigator.mediaDevices || !window.MediaRecorder) {
      throw new Trouble("This browser cannot record here: that needs https, or localhost. You can still choose a file.");
    }
    this.state = "starting";
    let stream = null;
    try {
      stream = await microphone();
      this.listen(stream, count);
    } catch (error) {
      close(stream);
      this.state = "idle";
      throw error;
    }
    this.state = "active";
    this.watch(performance.now());
    return true;
  }

  listen(stream, count) {
    this.stream = stream;
    this.recorder = new MediaRecorder(stream);
    this.pieces = [];
    this.recorder.ondataavailable = (event) => this.pieces.push(event.data);
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(stream).connect(this.analyser);
    this.recorder.start(1000);
    this.downbeat = null;
    if (count) {
      this.counting = countIn(this.context, count, 4);
      this.downbeat = this.counting.downbeat; // seconds of the recording
    }
  }

  watch(begun) {
    if (!this.active) return;
    const samples = new Float32Array(this.analyser.fftSize);
    this.analyser.getFloatTimeDomainData(samples);
    const loudest = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
    this.tell((performance.now() - begun) / 1000, Math.sqrt(loudest));
    requestAnimationFrame(() => this.watch(begun));
  }

  /** The recording, as a file; null where none is under way. */
  async stop() {
    if (!this.active) return null;
    this.state = "stopping";
    const { recorder } = this;
    await new Promise((resolve) => {
      recorder.onstop = resolve;
      if (recorder.state === "inactive") resolve(); // the microphone was unplugged
      else recorder.stop();
    });
    close(this.stream);
    this.counting?.stop();
    this.counting = null;
    this.context.close();
    this.state = "idle";
    const type = recorder.mimeType.split(";")[0] || "audio/webm";
    return new File(this.pieces, `recording.${type.endsWith("mp4") ? "m4a" : "webm"}`, { type });
  }
}

async function microphone() {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw new Trouble(
      error.name === "NotAllowedError"
        ? "The microphone is not allowed for this page. Allow it in the address bar, or choose a file."
        : "No microphone was found. Plug one in, or choose a file.",
    );
  }
}

function close(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
