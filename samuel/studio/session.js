// What this tab was at, so that a reload or "back" finds it again: which jobs the server has, and what they are called
// here. The sounds are the server's, and go with its results.

const KEY = "work";

/** `work`: { voice: { name, separate }, bands, begun, heard, balance, making }; null forgets it. */
export function keep(work) {
  try {
    if (work) sessionStorage.setItem(KEY, JSON.stringify(work));
    else sessionStorage.removeItem(KEY);
  } catch {
    // a browser that keeps nothing: the work is there until the page goes
  }
}

export function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY));
  } catch {
    return null;
  }
}
