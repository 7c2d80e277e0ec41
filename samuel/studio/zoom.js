// Closer and farther: all waveforms and the lead sheet at one scale, scrolled together.

import { view } from "./lanes.js";
import { $, say } from "./telling.js";

const CLOSEST = 32;

/** `lanes()`: those there are; `sheet`: the lead sheet's lane. */
export function setUpZoom(lanes, sheet) {
  function zoom(factor) {
    view.zoom = Math.max(1, Math.min(CLOSEST, view.zoom * factor));
    for (const lane of lanes()) lane.zoom();
    sheet.zoom();
    $("zoom-out").disabled = view.zoom === 1;
    $("zoom-in").disabled = view.zoom === CLOSEST;
    say(view.zoom === 1 ? "The whole song" : `${view.zoom} times as close`);
  }
  view.scrolled = (second, from) => {
    if (view.zoom === 1) return;
    for (const lane of lanes()) if (lane !== from) lane.scrollTo(second);
    if (sheet !== from) sheet.scrollTo(second);
  };
  $("zoom-in").addEventListener("click", () => zoom(2));
  $("zoom-out").addEventListener("click", () => zoom(0.5));
  return (key) => {
    const button = { "+": $("zoom-in"), "-": $("zoom-out") }[key];
    if (!button || button.disabled) return false;
    button.click();
    return true;
  };
}
