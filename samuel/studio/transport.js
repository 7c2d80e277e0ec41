// Playing, pausing, moving, by mouse and keys; and what of it is shown.

import { $, clock } from "./telling.js";

/** `tracks()`: the lanes there are, the voice's first; `choose(number)`: listen to a band; `other()`: to the one before;
 * `zoom(key)`; `escape()`: whether there was something to leave. */
export function setUpTransport(player, { tracks, choose, other, zoom, escape }) {
  const playOrPause = () => (player.playing ? player.pause() : player.play());

  function showTime() {
    $("time").textContent = `${clock(player.currentTime)} / ${clock(player.duration)}`;
    $("position").max = player.duration || 1;
    $("position").value = player.currentTime;
    $("position").setAttribute("aria-valuetext", `${clock(player.currentTime)} of ${clock(player.duration)}`);
  }

  function showMix() {
    for (const lane of tracks()) {
      const chosen = lane.side === "voice" || player.heard === lane.name;
      lane.element.classList.toggle("silent", player.tracks.get(lane.name)?.silent ?? true);
      lane.element.querySelector(".mute").setAttribute("aria-pressed", chosen && player.mutes.has(lane.side));
      lane.element.querySelector(".solo").setAttribute("aria-pressed", chosen && player.solo === lane.side);
    }
  }

  function showPlaying() {
    $("play").classList.toggle("playing", player.playing);
    $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  }

  function key(event) {
    if (event.key === "Escape" && !event.target.closest("dialog") && escape()) {
      event.preventDefault();
      return;
    }
    const typing = event.target.closest("input:not([type=range]):not([type=radio]):not([type=checkbox]), select, dialog, textarea");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || $("transport").hidden) return;
    const onControl = event.target.closest("button, a, summary, input");
    const move = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (event.key === " " && !onControl) playOrPause();
    else if (move && !onControl) player.currentTime += move;
    else if (!(event.key === "b" && other()) && !zoom(event.key) && !(/^[1-9]$/.test(event.key) && choose(Number(event.key)))) return;
    event.preventDefault();
  }

  $("play").addEventListener("click", playOrPause);
  $("other").addEventListener("click", other);
  $("position").addEventListener("input", () => (player.currentTime = Number($("position").value)));
  document.addEventListener("keydown", key);
  for (const event of ["play", "pause"]) player.addEventListener(event, showPlaying);
  for (const event of ["timeupdate", "durationchange"]) player.addEventListener(event, showTime);
  player.addEventListener("mixchange", showMix);
}
