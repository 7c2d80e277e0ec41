// What the page is at.

import { Player } from "./player.js";
import * as session from "./session.js";

export const player = new Player();

export const state = {
  limits: null, // of the server
  voice: null, // { name, file, lane, buffer } of the recording; `recorded` here; `of`: the job whose voice is heard
  arriving: false, // whether a recording was stopped and is not shown yet
  bands: [], // { lane, job, variation, seed, note, sheet, given }; the lane of one that is still made is `growing`
  other: null, // name of the band that was heard before this one
  finding: null, // resolved when the lead sheet of the voice was looked for
  sheet: null, // the lead sheet that is seen, a `Sheet`
  given: {}, // of it and of the arrangement, what holds: the API's fields
  undo: [], // { sheet, given, heard } before each change
  part: null, // { band, start, end } that is selected
  working: null, // AbortController of what is under way
  making: null, // { job, note } of the job under way: its id, and how a remade part is called
  begun: 0, // bands ever made of this voice: names the next one
};

export const EVEN = "drums=0, bass=0, other=0"; // levels of the arrangement's players, in decibels
const ARRANGED = ["style", "energy", "part_levels"];

/** Where a band is not what is seen, in seconds, `all` where its arrangement is another; null where it is the same. */
export function differs(band) {
  const { sheet, given } = state;
  if (ARRANGED.some((name) => (band.given?.[name] ?? "") !== (given[name] ?? ""))) {
    return { start: 0, end: sheet.found.seconds, all: true };
  }
  if (sheet.cells.length !== band.sheet.cells.length) return { start: 0, end: sheet.found.seconds, all: true };
  return sheet.differs(band.sheet);
}

/** As the API takes it: a sketch is the arrangement itself. */
export function orderedQuality() {
  const quality = new FormData(document.getElementById("order")).get("quality");
  return quality === "sketch" ? { quality: "draft", strength: 0 } : { quality };
}

/** Remember what there is, for when this tab is loaded again. */
export function remember() {
  const saved = state.bands.filter((band) => !band.lane.growing);
  if (!state.voice || !(saved.length || state.making)) return session.keep(null);
  return session.keep({
    voice: { name: state.voice.name, separate: state.voice.separate },
    bands: saved.map(({ lane, job, variation, note, sheet, given }) => ({
      job: job.id, variation, note, title: lane.title, sheet: sheet?.found, given,
    })),
    heard: player.heard,
    balance: player.balance,
    begun: state.begun - (state.bands.length - saved.length), // what is still made is named again
    making: state.making,
    sheet: state.sheet?.found,
    given: state.given,
  });
}
