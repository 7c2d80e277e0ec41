// Clicks: on the beats of a lead sheet, and to count in and sing to.

const SECONDS = 0.03;
const [HIGH, LOW] = [1600, 1000]; // hertz, of a bar's first beat and the others; as the server's click

/** A click on each beat, in a buffer as long as the voice. */
export function clickTrack(context, sheet, seconds) {
  const buffer = context.createBuffer(2, Math.ceil(seconds * context.sampleRate), context.sampleRate);
  const samples = buffer.getChannelData(0);
  sheet.times.forEach((time, beat) => {
    const [hertz, begin] = [beat % sheet.perBar ? LOW : HIGH, Math.round(time * context.sampleRate)];
    for (let i = 0; i < SECONDS * context.sampleRate && begin + i < samples.length; i++) {
      const t = i / context.sampleRate;
      samples[begin + i] += 0.5 * Math.sin(2 * Math.PI * hertz * t) * Math.exp((-5 * t) / SECONDS);
    }
  });
  buffer.copyToChannel(samples, 1);
  return buffer;
}

/** Clicks now and until `stop()`. `downbeat`: seconds from now to the first beat after one bar of counting in. */
export function countIn(context, bpm, perBar) {
  const [beat, begin] = [60 / bpm, context.currentTime + 0.15];
  let next = 0;
  const schedule = () => {
    for (; begin + next * beat < context.currentTime + 1.5; next++) {
      const [tone, gain, at] = [context.createOscillator(), context.createGain(), begin + next * beat];
      tone.frequency.value = next % perBar ? LOW : HIGH;
      gain.gain.setValueAtTime(0.5, at);
      gain.gain.exponentialRampToValueAtTime(0.001, at + SECONDS);
      tone.connect(gain).connect(context.destination);
      tone.start(at);
      tone.stop(at + SECONDS);
    }
  };
  schedule();
  const timer = setInterval(schedule, 500);
  return { downbeat: 0.15 + perBar * beat, stop: () => clearInterval(timer) };
}
