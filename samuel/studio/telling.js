// What the page says: troubles, news for a screen reader, progress.

import { Trouble, useToken } from "./service.js";

export const $ = (id) => document.getElementById(id);
const PAGE_TITLE = document.title;

export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
export const letter = (number) => (number < 26 ? String.fromCharCode(65 + number) : `${number + 1}`);

export function complain(error) {
  if (error.name === "AbortError") return;
  if (!(error instanceof Trouble)) console.error(error);
  $("trouble-words").textContent =
    error instanceof Trouble ? error.message : `Something went wrong in this page: ${error.message}`;
  $("trouble").hidden = false;
}

export function calm() {
  $("trouble").hidden = true;
}

/** What happened, for a screen reader. */
export function say(words) {
  $("news").textContent = words;
}

let begun = null; // { at, share } where the share of the work was first known

/** Words for how long it will take, as far as the work's pace tells. */
function timeLeft(share) {
  const now = performance.now() / 1000;
  if (!share || (begun && share < begun.share)) begun = null;
  if (!share) return "";
  begun ??= { at: now, share };
  const [took, done] = [now - begun.at, share - begun.share];
  if (took < 1.5 || done < 0.03 || share === 1) return "";
  const left = (took * (1 - share)) / done;
  const rounded = left < 10 ? Math.ceil(left) : 5 * Math.ceil(left / 5);
  return rounded < 90 ? `about ${rounded} s left` : `about ${Math.round(rounded / 60)} min left`;
}

/** How far the work is: what is done now, and the share of all, null where that is not known. */
export function tell(words, share) {
  const percent = share === null ? "" : `${Math.round(100 * share)}%`;
  if ($("work-words").dataset.words !== words) {
    $("work-words").dataset.words = words; // a screen reader hears each stage, not each percent
    $("work-words").textContent = `${words}…`;
    say(words);
  }
  if (share === null) $("work-bar").removeAttribute("value");
  else $("work-bar").value = share;
  $("work-share").textContent = [percent, timeLeft(share)].filter(Boolean).join(" · ");
  document.title = $("work").hidden ? PAGE_TITLE : [words, percent].filter(Boolean).join(" – ");
}

export function setWorking(now) {
  $("work").hidden = !now;
  begun = null;
  for (const button of [$("generate"), $("remake")]) button.setAttribute("aria-disabled", now); // keeps the focus
  document.title = PAGE_TITLE;
}

/** Move the focus on, where it would be lost. */
export function focusOn(element) {
  element.focus({ preventScroll: true });
}

/** Scroll as little as is needed; at once, for those who want no motion. */
export function bringIntoView(element) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block: "nearest", behavior: still ? "instant" : "smooth" });
}

/** An action whose troubles are told. */
export const guarded = (action) => async (...given) => {
  try {
    return await action(...given);
  } catch (error) {
    if (error.status === 401) await askForToken();
    else complain(error);
    return null;
  }
};

/** `document` hears of "token" when there is another one. */
function askForToken() {
  const dialog = $("token-dialog");
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      const given = $("token").value.trim();
      $("token").value = "";
      if (dialog.returnValue === "ok") {
        useToken(given);
        document.dispatchEvent(new Event("token"));
      }
      resolve();
    }, { once: true }),
  );
}
