// Takes down peaks above -1 dB before they would be clipped, as the limiter of the downloads does (samuel/mixing.py):
// the gain of a sample is the mean, over 20 ms each way, of the least gain that is needed within 20 ms.

const CEILING = 10 ** (-1.1 / 20);
const LOOK_AHEAD = 0.02; // seconds; what is heard is late by twice as much

class Limiter extends AudioWorkletProcessor {
  constructor() {
    super();
    this.span = 2 * Math.round(LOOK_AHEAD * sampleRate) + 1;
    this.delayed = [0, 1].map(() => new Float32Array(this.span - 1)); // the samples that wait for their gain
    this.least = new Float32Array(this.span).fill(1); // the latest minima, and their sum
    this.sum = this.span;
    this.needs = new Float32Array(this.span); // candidates for the minimum, rising, and when each was needed
    this.times = new Float64Array(this.span);
    this.first = 0;
    this.count = 0;
    this.now = 0;
  }

  /** The least gain needed within the span that ends with this sample. */
  minimum(needed) {
    const { needs, times, span } = this;
    while (this.count && needs[(this.first + this.count - 1) % span] >= needed) this.count--;
    if (this.count && times[this.first] <= this.now - span) {
      this.first = (this.first + 1) % span;
      this.count--;
    }
    const last = (this.first + this.count++) % span;
    needs[last] = needed;
    times[last] = this.now;
    return needs[this.first];
  }

  process([input], [output]) {
    const length = output[0].length;
    for (let i = 0; i < length; i++) {
      const left = input[0]?.[i] ?? 0;
      const right = (input[1] ?? input[0])?.[i] ?? 0;
      const least = this.minimum(CEILING / Math.max(CEILING, Math.abs(left), Math.abs(right)));
      const place = this.now % this.span;
      this.sum += least - this.least[place];
      this.least[place] = least;
      const gain = Math.min(1, this.sum / this.span);
      const late = this.now % (this.span - 1);
      [left, right].forEach((sample, side) => {
        output[side][i] = gain * this.delayed[side][late];
        this.delayed[side][late] = sample;
      });
      this.now++;
    }
    return true;
  }
}

registerProcessor("limiter", Limiter);
