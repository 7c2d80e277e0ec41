// Integrated loudness in LUFS, as ITU-R BS.1770-4 has it and as the server measures its mixes: of a sound, and of two
// sounds together at any balance. The power of a sum is that of both, and twice their product: so what is measured
// once of each tenth of a second serves for every position of the balance.

export const SILENCE = -70; // LUFS: the meter's gate
const OFFSET = -0.691;
const RELATIVE_GATE = -10; // LU
const HOPS = 4; // a block has 0.4 s, and begins each tenth

/** The two filters of BS.1770 for a sample rate: a shelf for the head, a high-pass. Each [feedforward, feedback]. */
function filters(rate) {
  const shelf = Math.tan((Math.PI * 1681.974450955533) / rate);
  const high = 10 ** (3.999843853973347 / 20);
  const band = high ** 0.4996667741545416;
  const q = 0.7071752369554196;
  const pass = Math.tan((Math.PI * 38.13547087602444) / rate);
  const p = 0.5003270373238773;
  const back = (k, quality) => {
    const first = 1 + k / quality + k * k;
    return [first, [1, (2 * (k * k - 1)) / first, (1 - k / quality + k * k) / first]];
  };
  const [a, shelfBack] = back(shelf, q);
  const [, passBack] = back(pass, p);
  const forward = [high + (band * shelf) / q + shelf ** 2, 2 * (shelf ** 2 - high), high - (band * shelf) / q + shelf ** 2];
  return [[forward.map((one) => one / a), shelfBack], [[1, -2, 1], passBack]];
}

/** A sound as the meter hears it: both channels, filtered. */
export async function weighted(buffer) {
  const context = new OfflineAudioContext(2, buffer.length, buffer.sampleRate);
  const source = context.createBufferSource();
  source.buffer = buffer;
  filters(buffer.sampleRate)
    .reduce((from, [forward, back]) => from.connect(context.createIIRFilter(forward, back)), source)
    .connect(context.destination);
  source.start();
  const heard = await context.startRendering();
  return { channels: [heard.getChannelData(0), heard.getChannelData(1)], rate: buffer.sampleRate };
}

/** The mean product of two weighted sounds in each whole tenth of a second, summed over channels; of one with itself: its power. */
export function products(one, other) {
  const hop = Math.round(one.rate / 10);
  const length = Math.min(one.channels[0].length, other.channels[0].length);
  const result = new Float64Array(Math.floor(length / hop));
  for (let side = 0; side < 2; side++) {
    const [a, b] = [one.channels[side], other.channels[side]];
    for (let tenth = 0; tenth < result.length; tenth++) {
      let sum = 0;
      for (let i = tenth * hop; i < (tenth + 1) * hop; i++) sum += a[i] * b[i];
      result[tenth] += sum / hop;
    }
  }
  return result;
}

/** Powers of a first sound and `gain` times a second one. */
export function together(first, second, cross, gain) {
  return first.map((power, i) => power + 2 * gain * (cross[i] ?? 0) + gain * gain * (second[i] ?? 0));
}

/** Of powers by tenths of a second. What is shorter than 0.4 s counts as silent. */
export function loudness(powers) {
  const blocks = [];
  for (let i = 0; i + HOPS <= powers.length; i++) {
    const power = (powers[i] + powers[i + 1] + powers[i + 2] + powers[i + 3]) / HOPS;
    if (decibels(power) > SILENCE) blocks.push(power);
  }
  const gate = decibels(mean(blocks)) + RELATIVE_GATE;
  return Math.max(SILENCE, decibels(mean(blocks.filter((power) => decibels(power) > gate))));
}

const mean = (values) => values.reduce((sum, one) => sum + one, 0) / Math.max(1, values.length);
const decibels = (power) => OFFSET + 10 * Math.log10(power + 1e-30);
