// A band that plays otherwise: other chords in a place, another style, energy or levels. The arrangement of it is heard
// first, the network's take of it follows.

import * as service from "./service.js";
import { EVEN, differs, orderedQuality, player, state } from "./state.js";
import { $, clock, say } from "./telling.js";
import { bandName, bandNamed, listenTo, newBand } from "./tracks.js";

let changing = null; // AbortController of the change that is being made

const isThere = (band) => band?.sheet && !band.lane.growing && !differs(band);

/** `make(fields, note, arranged)` makes a band; `before`: the one that was heard before a change that is undone. */
export async function playChanges(make, before = null) {
  const named = (name) => state.bands.find((band) => band.lane.name === name);
  const heard = named(player.heard);
  const base = heard?.base ?? heard;
  const there = [named(before), base, ...state.bands].find(isThere);
  if (there) {
    if (state.working === changing) changing?.abort();
    listenTo(there.lane); // nothing is to be made
    return;
  }
  const part = base?.sheet && !base.lane.growing ? differs(base) : null;
  if (!part || base.sheet.cells.length !== state.sheet.cells.length) return;
  state.working?.abort();
  const { sheet, given } = state;
  const { start, end } = part;
  const fields = {
    reference: base.job.id,
    reference_variation: base.variation,
    start: start.toFixed(4),
    end: end.toFixed(4),
    ...orderedQuality(),
    seed: base.seed,
    lead_sheet: JSON.stringify({ ...sheet.found.lead_sheet, style: "" }),
    style: given.style ?? "",
    energy: given.energy ?? "",
    part_levels: given.part_levels ?? EVEN,
  };
  const note = `${base.lane.title}, ${part.all ? "played otherwise" : `other chords at ${clock(start)}`}`;
  const made = make(fields, note, async (job, signal) => {
    const sound = await service.sound(job.id, "arrangement", { start, end }, signal);
    const piece = await player.decode(sound);
    signal.throwIfAborted();
    await player.add(bandName(job, 0), spliced(player.pieces(base.lane.name)[0].buffer, piece, start));
    signal.throwIfAborted();
    const band = bandNamed(job, 0) ?? newBand(job, 0);
    Object.assign(band, { base, sheet, given });
    band.lane.setGrowing(true, "the arrangement; the network plays it anew");
    band.lane.draw();
    listenTo(band.lane);
    if (!part.all) player.currentTime = Math.max(0, start - 1);
    say("The arrangement of it can be heard");
  });
  changing = state.working;
  await made;
}

/** A copy of a band with another sound from `start` on, faded over 20 ms. */
function spliced(buffer, piece, start) {
  const copy = player.context.createBuffer(2, buffer.length, buffer.sampleRate);
  const [from, fade] = [Math.round(start * buffer.sampleRate), Math.round(0.02 * buffer.sampleRate)];
  for (let side = 0; side < 2; side++) {
    const samples = Float32Array.from(buffer.getChannelData(Math.min(side, buffer.numberOfChannels - 1)));
    const other = piece.getChannelData(Math.min(side, piece.numberOfChannels - 1));
    for (let i = 0; i < other.length && from + i < samples.length; i++) {
      const share = Math.min(1, i / fade, (other.length - i) / fade);
      samples[from + i] += share * (other[i] - samples[from + i]);
    }
    copy.copyToChannel(samples, side);
  }
  return copy;
}
