// The microphone, without the browser's improvements for speech, which hurt singing.

import { Trouble } from "./service.js";

export class Recorder {
  /** `tell(seconds, level)` while it records, with a level from 0 to 1. */
  constructor(tell) {
    this.tell = tell;
    this.recorder = null;
  }

  get active() {
    return this.recorder !== null;
  }

  async start() {
    if (!navigator.mediaDevices || !window.MediaRecorder) {
      throw new Trouble("This browser cannot record here: that needs https, or localhost. You can still choose a file.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      throw new Trouble(
        error.name === "NotAllowedError"
          ? "The microphone is not allowed for this page. Allow it in the address bar, or choose a file."
          : "No microphone was found. Plug one in, or choose a file.",
      );
    }
    this.stream = stream;
    this.recorder = new MediaRecorder(stream);
    this.pieces = [];
    this.recorder.ondataavailable = (event) => this.pieces.push(event.data);
    this.recorder.start(1000);
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    const begun = performance.now();
    const watch = () => {
      if (!this.active) return;
      analyser.getFloatTimeDomainData(samples);
      const loudest = samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0);
      this.tell((performance.now() - begun) / 1000, Math.sqrt(loudest));
      requestAnimationFrame(watch);
    };
    watch();
  }

  /** The recording, as a file. */
  stop() {
    return new Promise((resolve) => {
      const recorder = this.recorder;
      recorder.onstop = () => {
        this.stream.getTracks().forEach((track) => track.stop());
        this.context.close();
        const type = recorder.mimeType.split(";")[0] || "audio/webm";
        resolve(new File(this.pieces, `recording.${type.endsWith("mp4") ? "m4a" : "webm"}`, { type }));
      };
      this.recorder = null;
      recorder.stop();
    });
  }
}
