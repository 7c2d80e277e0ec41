// The energy of a lead sheet as a line that is drawn: one height a bar, by mouse, finger or keys.

const STEP = 0.1;

/** Seconds and values of "0.7" or "0:0.3, 20:0.9". */
export function pointsOf(text) {
  return text.split(",").map((word) => word.trim().split(":").map(Number)).map((pair) => (pair.length > 1 ? pair : [0, pair[0]]));
}

/** On straight lines between points, as the server has it. */
export function valueAt(points, second) {
  const after = points.findIndex(([time]) => time >= second);
  if (after < 0) return points.at(-1)[1];
  if (after === 0) return points[0][1];
  const [[t0, v0], [t1, v1]] = points.slice(after - 1, after + 1);
  return v0 + ((v1 - v0) * (second - t0)) / (t1 - t0);
}

/** The bars of `sheet`, each { start, end, middle }. */
function barsOf(sheet) {
  return Array.from({ length: sheet.bars }, (_, bar) => {
    const [start, end] = [sheet.times[bar * sheet.perBar], sheet.times[(bar + 1) * sheet.perBar]];
    return { start, end, middle: (start + end) / 2 };
  }).filter(({ start }) => start < sheet.found.seconds);
}

/** A row of heights in a lead sheet's lane. `drawn(text)` hears of what was drawn, as the API takes it. */
export function energyRow(lane, points, drawn) {
  const bars = barsOf(lane.sheet);
  const values = bars.map(({ middle }) => (points.length ? valueAt(points, middle) : 0.5));
  const row = document.createElement("div");
  row.className = "energy-row";
  row.setAttribute("role", "group");
  row.setAttribute("aria-label", "Energy, bar by bar");
  const sliders = bars.map(({ start, end }, bar) => {
    const slider = row.appendChild(document.createElement("span"));
    slider.tabIndex = 0;
    slider.setAttribute("role", "slider");
    slider.setAttribute("aria-label", `Energy of bar ${bar + 1}`);
    slider.setAttribute("aria-orientation", "vertical");
    slider.style.left = lane.percent(start);
    slider.style.width = lane.percent(Math.min(end, lane.seconds) - start);
    slider.append(document.createElement("i"));
    return slider;
  });
  const set = (bar, value) => {
    values[bar] = Math.max(0, Math.min(1, Math.round(20 * value) / 20));
    const percent = Math.round(100 * values[bar]);
    sliders[bar].setAttribute("aria-valuenow", percent);
    sliders[bar].setAttribute("aria-valuetext", `${percent}%`);
    sliders[bar].firstChild.style.height = `${percent}%`;
  };
  values.forEach((value, bar) => set(bar, value));
  const tell = () => drawn(bars.map(({ middle }, bar) => `${middle.toFixed(2)}:${values[bar]}`).join(", "));

  let last = null; // bar under the finger
  const follow = (event) => {
    const box = row.getBoundingClientRect();
    const second = lane.secondAt(event.clientX);
    const bar = Math.max(0, bars.findLastIndex(({ start }) => start <= second));
    for (let one = Math.min(last ?? bar, bar); one <= Math.max(last ?? bar, bar); one++) set(one, 1 - (event.clientY - box.top) / box.height);
    last = bar;
  };
  row.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    row.setPointerCapture(event.pointerId);
    last = null;
    follow(event);
    row.addEventListener("pointermove", follow);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    row.addEventListener(end, () => {
      row.removeEventListener("pointermove", follow);
      if (last !== null) tell();
      last = null;
    });
  }
  let typed = null;
  row.addEventListener("keydown", (event) => {
    const bar = sliders.indexOf(event.target);
    const steps = { ArrowUp: STEP, ArrowRight: STEP, ArrowDown: -STEP, ArrowLeft: -STEP, Home: -1, End: 1 };
    if (bar < 0 || !(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    set(bar, values[bar] + steps[event.key]);
    clearTimeout(typed);
    typed = setTimeout(tell, 700); // when the keys rest
  });
  row.focusBar = (bar) => sliders[bar]?.focus({ preventScroll: true });
  row.focusedBar = () => sliders.indexOf(document.activeElement);
  return row;
}
